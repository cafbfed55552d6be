//! Registrations that contradict each other. `check` must find every one, and start nothing.

use std::process::ExitCode;

use labrig::prelude::*;

/// Served by two kinds that share no role.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
struct Expose {}

/// Every manager must have a handler of it, and the shutter has none.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, audience = "all")]
struct Freeze {}

/// A group of the config must have handlers of it; the group has no manager.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(broadcast, audience = "lasers")]
struct Blank {}

/// Two commands of one name: the first.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(name = "Open")]
struct OpenShutter {}

/// Two commands of one name: the second.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(name = "Open")]
struct OpenFile {}

/// Handled by both scopes.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
struct Remember {}

/// A scope command that a manager handles and the scope does not.
#[derive(Command, Serialize, Deserialize, Schema, Debug, Clone)]
#[command(scope)]
struct Forget {}

/// Its exposure is handled here …
struct FirstCamera;

impl Manager for FirstCamera {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "first")]
impl FirstCamera {
    #[ipc_command]
    fn expose(&mut self, _command: Expose) {}

    #[ipc_command]
    fn freeze(&mut self, _command: Freeze) {}

    #[ipc_command]
    fn blank(&mut self, _command: Blank) {}

    #[ipc_command]
    fn forget(&mut self, _command: Forget) {}
}

/// … and here.
struct SecondCamera;

impl Manager for SecondCamera {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

/// A role whose handler the second camera also has in its own block.
#[role]
trait Opens: Manager {
    #[ipc_command]
    fn open(&mut self, _command: OpenShutter) {}
}

impl Opens for SecondCamera {}

#[manager(kind = "second", roles(Opens))]
impl SecondCamera {
    #[ipc_command]
    fn expose(&mut self, _command: Expose) {}

    #[ipc_command]
    fn freeze(&mut self, _command: Freeze) {}

    #[ipc_command]
    fn open_shutter(&mut self, _command: OpenShutter) {}

    #[ipc_command]
    fn open_file(&mut self, _command: OpenFile) {}

    #[on_frame(input = "overview")]
    fn look(&mut self, _frame: &Frame) {}
}

/// A kind without handlers.
struct Shutter;

impl Manager for Shutter {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "shutter")]
impl Shutter {}

/// The same kind again.
struct OtherShutter;

impl Manager for OtherShutter {
    type Config = ();

    fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
        Ok(Self)
    }
}

#[manager(kind = "shutter")]
impl OtherShutter {}

/// A scope that nobody builds: it is not `Default`, and `main` gives no value.
struct Notebook {
    _pages: u32,
}

#[scope]
impl Notebook {
    #[ipc_command]
    fn remember(&mut self, _command: Remember) {}
}

/// A second scope with the same command.
#[derive(Default)]
struct Diary;

#[scope]
impl Diary {
    #[ipc_command]
    fn remember(&mut self, _command: Remember) {}
}

fn main() -> ExitCode {
    labrig::main()
}
