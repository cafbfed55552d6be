use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[serde(flatten)]
    height_um: std::collections::BTreeMap<String, f64>,
}

fn main() {}
