use labrig::prelude::*;
use labrig::registry::{Handles, ScopeHandles, Incoming};
use labrig::wire::{CodecId, codec, FailureKind};

#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(reply = Settled)]
struct MoveTo { height_um: f64 }
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
struct Home;
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast)]
struct SetAcquisition { on: bool }
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
struct SaveNote { text: String }

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Settled { height_um: f64 }
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
enum MotorError { OutOfTravel { limit_um: f64 } }

#[derive(Default)]
struct Motor { height_um: f64, acquiring: bool, ticks: u32 }
impl Manager for Motor {
    type Config = ();
    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> { Ok(Self::default()) }
}

#[role]
trait Acquires: Manager {
    fn acquiring(&mut self) -> &mut bool;
    #[ipc_command]
    fn set_acquisition(&mut self, command: SetAcquisition) { *self.acquiring() = command.on }
}
impl Acquires for Motor { fn acquiring(&mut self) -> &mut bool { &mut self.acquiring } }

#[manager(kind = "motor", roles(Acquires))]
impl Motor {
    #[ipc_command]
    fn move_to(&mut self, command: MoveTo, _context: &mut Context) -> Result<Settled, MotorError> {
        if command.height_um > 200.0 { return Err(MotorError::OutOfTravel { limit_um: 200.0 }) }
        self.height_um = command.height_um;
        Ok(Settled { height_um: command.height_um })
    }
    #[ipc_command]
    fn home(&mut self, _: Home) { self.height_um = 0.0 }
    #[every(milliseconds = 20)]
    fn publish(&mut self, _context: &mut Context) { self.ticks += 1 }
    #[every(seconds = 1)]
    fn publish_slow(&mut self) -> Result<(), std::io::Error> { self.ticks += 1; Ok(()) }
    #[on_frame]
    fn on_video(&mut self, _frame: &Frame) -> Result<(), String> { Ok(()) }
}
#[derive(Default)]
struct Lab;
#[scope]
impl Lab { #[ipc_command] fn save_note(&mut self, _: SaveNote) -> Result<(), String> { Ok(()) } }
#[test]
fn y() {
    println!("{:#?}", labrig::registry::registration::manifest());
    let _ = (Motor::table(), Lab::table(), CodecId::Json, codec::to_json(&1), FailureKind::Text);
    let _: Option<Incoming> = None;
}
