use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast)]
struct SetAcquisition {
    on: bool,
}

fn ask(scope: &Scope) {
    let _ = scope.request(SetAcquisition { on: true });
}

fn main() {}
