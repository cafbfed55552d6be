//! A handle to a type of which nothing may be called from elsewhere.

use labrig::prelude::*;

struct LookupTable;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = RemoteRef<LookupTable>)]
struct LoadTable {}

fn main() {}
