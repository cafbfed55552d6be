use labrig::prelude::*;

#[derive(Serialize, Deserialize, Schema)]
struct Scan<T> {
    next: T,
}

#[procedure(kind = "scan")]
impl<T: Serialize + for<'de> Deserialize<'de> + Schema + Send + 'static> Procedure for Scan<T> {
    type Inputs = ();
    type Output = ();

    fn begin(_: &(), _: &mut StepContext) -> Result<Self, StepError> {
        Err(StepError::new("never"))
    }

    fn step(&mut self, _: &(), _: &mut StepContext) -> Result<Step<()>, StepError> {
        Ok(Step::Done(()))
    }
}

fn main() {}
