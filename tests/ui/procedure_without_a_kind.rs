//! A procedure is launched by the name of its kind.

use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Count {
    next: u32,
}

#[procedure]
impl Procedure for Count {
    type Inputs = ();
    type Output = ();

    fn begin(_: &(), _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self { next: 0 })
    }

    fn step(&mut self, _: &(), _: &mut StepContext) -> Result<Step<()>, StepError> {
        Ok(Step::Done(()))
    }
}

#[procedure(kind = "Count Up")]
impl Count {
    fn count(&self) {}
}

fn main() {}
