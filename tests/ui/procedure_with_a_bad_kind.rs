use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Scan {}

#[procedure(kind = "Focus sweep")]
impl Procedure for Scan {
    type Inputs = ();
    type Output = ();

    fn begin(_: &(), _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self {})
    }

    fn step(&mut self, _: &(), _: &mut StepContext) -> Result<Step<()>, StepError> {
        Ok(Step::Done(()))
    }
}

fn main() {}
