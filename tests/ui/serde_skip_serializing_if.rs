use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Settled {
    #[serde(skip_serializing_if = "Option::is_none")]
    height_um: Option<f64>,
}

fn main() {}
