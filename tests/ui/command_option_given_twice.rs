use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(scriptable, scriptable)]
struct MoveTo {
    height_um: f64,
}

fn main() {}
