use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Note<'a> {
    text: &'a str,
}

fn main() {}
