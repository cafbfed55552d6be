//! Jobs that are offered to several runners: to any, to all, to one; each runs once.
//!
//! `cargo run --example tasks`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use labrig::prelude::*;
use labrig::procedure::{TaskError, Whom};

const CONFIG: &str = "
schema = 1
[rig]
name = \"shifts\"
[managers.day]
kind = \"labrig.procedures\"
[managers.day.config]
kinds = [\"develop\"]
limit = 1
queue_limit = 0
[managers.night]
kind = \"labrig.procedures\"
[managers.night.config]
limit = 1
queue_limit = 1
";

/// Develops a plate, which takes a minute.
#[derive(Serialize, Deserialize, Schema)]
struct Develop {}

#[derive(Serialize, Deserialize, Schema)]
struct Plate {
    number: u32,
}

#[procedure(kind = "develop")]
impl Procedure for Develop {
    type Inputs = Plate;
    type Output = u32;

    fn begin(_: &Plate, _: &mut StepContext) -> Result<Self, StepError> {
        Ok(Self {})
    }

    fn step(&mut self, plate: &Plate, context: &mut StepContext) -> Result<Step<u32>, StepError> {
        context.sleep(Duration::from_secs(60))?;
        Ok(Step::Done(plate.number))
    }
}

fn work(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let patience = Duration::from_secs(30);
    let procedures = scope.procedures();
    // One shift after the other is asked, each time beginning with another. `day` has no queue.
    for number in 1..=4 {
        let plate = procedures.task("develop", &Plate { number })?;
        match procedures.offer(plate, Whom::Any)?.wait(patience) {
            Ok(placed) => println!("plate {number}: {} has it", placed.taken[0].runner),
            Err(error) => match error.downcast() {
                Some(TaskError::NoTaker { declined, .. }) => {
                    let reasons = declined.iter().map(|one| format!("{}: {}", one.runner, one.why));
                    println!("plate {number}: nobody takes it; {}", reasons.collect::<Vec<_>>().join("; "));
                }
                _ => return Err(error.into()),
            },
        }
    }
    put_away(scope, "day", patience)?;
    // Under a name it is one task, however often it is offered.
    for _ in 0..2 {
        let plate = procedures.task("develop", &Plate { number: 4 })?.named("plate 4");
        let taken = procedures.offer(plate, Whom::Any)?.wait(patience)?.taken.remove(0);
        println!("plate 4: {} has it as {}", taken.runner, taken.id);
    }
    ["day", "night"].into_iter().try_for_each(|runner| put_away(scope, runner, patience))
}

/// What a shift has is not developed.
fn put_away(scope: &Scope, runner: &str, patience: Duration) -> Result<(), Box<dyn Error>> {
    let procedures = scope.procedures().of(runner);
    let plates = procedures.list()?.wait(patience)?;
    for plate in plates.iter().filter(|plate| !plate.state.is_final()) {
        procedures.kill(&plate.id, "put away", KillLevel::NextYield)?.wait(patience)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    labrig::app().default_config(CONFIG).main_with(|scope| work(&scope))
}
