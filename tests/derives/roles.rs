//! Roles: shared handlers, overridden and required ones.

use labrig::prelude::*;
use labrig::registry::Handles;

use super::call;

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(broadcast)]
struct SetAcquisition {
    on: bool,
}

#[derive(Command, Serialize, Deserialize, Schema)]
#[command(reply = String)]
struct Describe;

#[role]
trait Acquires: Manager {
    fn acquiring(&mut self) -> &mut bool;

    /// Switches acquisition.
    #[ipc_command]
    fn set_acquisition(&mut self, command: SetAcquisition) {
        *self.acquiring() = command.on;
    }
}

mod nested {
    use labrig::prelude::*;

    use super::Describe;

    #[role]
    pub(super) trait Describes: Manager {
        #[ipc_command]
        fn describe(&self, command: Describe) -> String;
    }
}

macro_rules! device {
    ($name:ident, $kind:literal) => {
        #[derive(Default)]
        struct $name {
            acquiring: bool,
            asked: u32,
        }

        impl Manager for $name {
            type Config = ();

            fn setup(_: (), _: &mut Context) -> Result<Self, SetupError> {
                Ok(Self::default())
            }
        }

        #[manager(kind = $kind, roles(Acquires, nested::Describes))]
        impl $name {}
    };
}

device!(Camera, "camera.roles");
device!(Tracker, "tracker.roles");

impl Acquires for Camera {
    fn acquiring(&mut self) -> &mut bool {
        &mut self.acquiring
    }
}

impl nested::Describes for Camera {
    fn describe(&self, _: Describe) -> String {
        "a camera".to_owned()
    }
}

impl Acquires for Tracker {
    fn acquiring(&mut self) -> &mut bool {
        &mut self.acquiring
    }

    fn set_acquisition(&mut self, command: SetAcquisition) {
        self.asked += 1;
        self.acquiring = !command.on;
    }
}

impl nested::Describes for Tracker {
    fn describe(&self, _: Describe) -> String {
        "a tracker".to_owned()
    }
}

#[test]
fn a_kind_serves_the_commands_of_its_roles() {
    assert_eq!(Camera::roles(), ["derives::roles::Acquires", "derives::roles::nested::Describes"]);
    let handlers = Camera::table().handlers;
    let of_roles: Vec<_> = handlers.iter().map(|handler| (handler.method, handler.role)).collect();
    let expected = [
        ("set_acquisition", Some("derives::roles::Acquires")),
        ("describe", Some("derives::roles::nested::Describes")),
    ];
    assert_eq!(of_roles, expected);
    let mut camera = Camera::default();
    assert_eq!(call(&handlers, &mut camera, &SetAcquisition { on: true }), Ok(()));
    assert!(camera.acquiring && camera.asked == 0);
}

#[test]
fn a_kind_may_override_a_handler_of_its_role() {
    let mut tracker = Tracker::default();
    assert_eq!(call(&Tracker::table().handlers, &mut tracker, &SetAcquisition { on: true }), Ok(()));
    assert_eq!((tracker.asked, tracker.acquiring), (1, false));
}

#[test]
fn a_handler_without_body_is_each_kinds_own() {
    let ask = |described: Result<String, _>| described.expect("it cannot fail");
    assert_eq!(ask(call(&Camera::table().handlers, &mut Camera::default(), &Describe)), "a camera");
    assert_eq!(ask(call(&Tracker::table().handlers, &mut Tracker::default(), &Describe)), "a tracker");
}
