//! The macros lean on nothing around them: names that are taken, `macro_rules`, modules, raw names.

use labrig::wire::Command as _;

/// Every name that generated code might have leaned on means something else here.
mod taken {
    #![allow(dead_code)]

    use labrig::{Command, Schema, manager, role};
    use serde::{Deserialize, Serialize};

    struct Option;
    struct Some;
    struct None;
    struct Vec;
    struct String;
    struct Result;
    struct Box;
    struct Field;
    struct Shape;
    struct Handler;
    trait Default {}
    trait Into {}
    mod std {}
    mod core {}

    #[derive(Command, Serialize, Deserialize, Schema)]
    #[command(reply = u8)]
    pub(super) struct Ask {
        #[serde(default)]
        #[schema(min = 1)]
        pub(super) count: u8,
    }

    struct Device;

    impl labrig::registry::Manager for Device {
        type Config = ();

        fn setup(
            _: (),
            _: &mut labrig::registry::Context,
        ) -> ::core::result::Result<Self, labrig::registry::SetupError> {
            Ok(Self)
        }
    }

    #[role]
    trait Answers: labrig::registry::Manager {}

    impl Answers for Device {}

    #[manager(kind = "device.taken", roles(Answers))]
    impl Device {
        #[ipc_command]
        fn ask(&mut self, command: Ask) -> ::core::result::Result<u8, ::std::string::String> {
            ::core::result::Result::Ok(command.count)
        }
    }
}

/// A whole device from a `macro_rules`, whose tokens have a hygiene of their own.
macro_rules! device {
    ($device:ident, $kind:literal, $command:ident, $reply:ty) => {
        #[derive(labrig::Command, serde::Serialize, serde::Deserialize, labrig::Schema)]
        #[command(reply = $reply)]
        struct $command;

        struct $device;

        impl labrig::registry::Manager for $device {
            type Config = ();

            fn setup(_: (), _: &mut labrig::registry::Context) -> Result<Self, labrig::registry::SetupError> {
                Ok(Self)
            }
        }

        #[labrig::manager(kind = $kind)]
        impl $device {
            #[labrig::ipc_command]
            fn answer(&mut self, _: $command) -> Result<$reply, std::io::Error> {
                Ok(Default::default())
            }
        }
    };
}

device!(Lamp, "lamp.rules", AskLamp, Vec<Option<u8>>);

/// A block that a `macro_rules` passes on whole.
macro_rules! registered {
    ($block:item) => {
        #[labrig::scope]
        $block
    };
}

struct Desk;

registered! {
    impl Desk {
        #[labrig::ipc_command]
        fn answer(&self, _: AskLamp) -> Vec<Option<u8>> {
            vec![None]
        }
    }
}

#[derive(labrig::Command, serde::Serialize, serde::Deserialize, labrig::Schema)]
#[allow(non_camel_case_types)]
struct r#type {
    r#in: u8,
}

#[test]
fn generated_code_works_among_names_that_are_taken() {
    assert_eq!(taken::Ask::spec().schema.fields()[0].default.as_deref(), Some("0"));
    assert!(labrig::registry::KindRegistration::find("device.taken").is_some());
    let _ = taken::Ask { count: 1 };
}

#[test]
fn a_device_may_come_from_a_macro() {
    use labrig::registry::Handles;
    let answer = super::call(&Lamp::table().handlers, &mut Lamp, &AskLamp);
    assert_eq!(answer, Ok(vec![]));
    let answer =
        super::call(&<Desk as labrig::registry::ScopeHandles>::table().handlers, &mut Desk, &AskLamp);
    assert_eq!(answer, Ok(vec![None]));
}

#[test]
fn raw_names_are_told_without_their_prefix() {
    let spec = r#type::spec();
    assert_eq!((spec.name.as_str(), spec.path.as_str()), ("type", "derives::surroundings::type"));
    assert_eq!(spec.schema.fields()[0].name, "in");
    let _ = r#type { r#in: 0 };
}
