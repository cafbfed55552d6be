use labrig::prelude::*;

struct Motor;

impl Motor {
    #[ipc_command]
    fn move_to(&mut self) {}
}

fn main() {}
