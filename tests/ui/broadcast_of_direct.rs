use labrig::prelude::*;

#[derive(Command, Serialize, Deserialize, Schema)]
struct Home;

fn ask(scope: &Scope) {
    let _ = scope.broadcast(Home);
}

fn main() {}
