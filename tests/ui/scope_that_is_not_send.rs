use labrig::prelude::*;

struct Lab {
    notes: std::rc::Rc<()>,
}

#[scope]
impl Lab {}

fn main() {}
