//! The simulated motor: its limits are told to the caller.

use labrig::managers::motor::{Height, Home, MotorError, MoveTo, Settled, WhereIs};

use crate::support::{PATIENCE, end_cleanly, launch};

fn check_motor(limits: &str, act: impl FnOnce(&labrig::Scope)) {
    let rig = launch(&format!(
        "[managers.motor]\nkind = \"motor.sim\"\n[managers.motor.config]\nmax_um = 50.0\n\
         speed_um_per_s = 100000.0\nlimits = \"{limits}\""
    ));
    act(&rig.scope());
    end_cleanly(rig);
}

#[test]
fn a_motor_settles_where_it_was_sent_and_knows_where_it_is() {
    check_motor("refuse", |scope| {
        let settled =
            scope.request(MoveTo { height_um: 12.5 }).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(settled, Settled { height_um: 12.5, was_clipped: false });
        let height = scope.request(WhereIs {}).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(height, Height { height_um: 12.5 });
        let home = scope.request(Home {}).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(home.height_um, 0.0);
    });
}

#[test]
fn a_refusing_motor_does_not_move_and_says_why() {
    check_motor("refuse", |scope| {
        let error =
            scope.request(MoveTo { height_um: 60.0 }).expect("accepted").wait(PATIENCE).expect_err("fails");
        let expected = MotorError::OutOfTravel { height_um: 60.0, min_um: 0.0, max_um: 50.0 };
        assert_eq!(error.downcast::<MotorError>(), Some(expected));
        assert!(error.to_string().contains("height 60 µm is outside the travel of 0 to 50 µm"), "{error}");
        let height = scope.request(WhereIs {}).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(height.height_um, 0.0);
    });
}

#[test]
fn a_clipping_motor_goes_to_the_nearest_end_and_says_so() {
    check_motor("clip", |scope| {
        let settled =
            scope.request(MoveTo { height_um: 60.0 }).expect("accepted").wait(PATIENCE).expect("done");
        assert_eq!(settled, Settled { height_um: 50.0, was_clipped: true });
    });
}
