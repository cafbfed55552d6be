//! The router driven by hand: events in, effects out, no process anywhere.

use std::time::Instant;

use super::*;
use crate::remote::scope::Ping;
use crate::wire::Command;

/// Nobody has taken anything.
struct Untouched;

impl Gauge for Untouched {
    fn taken(&self, _: usize) -> u64 {
        0
    }
}

fn station(name: &str) -> Station {
    let mut station = Station::new(ManagerName::new(name).expect("a valid name"), 4);
    station.life = Life::Ready;
    station
}

/// A router for one manager, at 0, and the scope, at 1; each serves the command of its number.
fn router() -> Router {
    let route = |at: usize, delivery| {
        let (name, overflow) = (format!("Command{at}"), Overflow::Refuse);
        (CommandId(at as u64), Route { name, delivery, overflow, stations: vec![at] })
    };
    let routes = HashMap::from([route(0, DeliveryKind::Direct), route(1, DeliveryKind::Scope)]);
    Router::new(vec![station("camera")], station("scope"), routes, Ping::spec())
}

#[test]
fn what_the_scope_has_taken_is_forgotten() {
    let mut router = router();
    let header = Header { command: CommandId(1), ..Header::new(Kind::Send) };
    for number in 0..100 {
        let now = Instant::now();
        router.submit(Caller::Local(number), &header, &[], now, &Untouched).expect("there is room");
        assert!(router.next_for(1, now).is_some());
        router.sent(1, &Untouched);
    }
    assert!(router.station(1).remembered() <= 1, "{} are remembered", router.station(1).remembered());
}

#[test]
fn what_a_manager_could_not_send_names_its_goal_and_its_sender() {
    let mut router = router();
    let target = Target::Named("ghost".to_owned());
    let header = Header { command: CommandId(0), target, ..Header::new(Kind::Send) };
    router.refuse(0, &header, Refusal::Closed);
    let effects = router.take_effects();
    let [Effect::Undelivered { command, to, reason }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((command.as_str(), to.as_str()), ("Command0", "ghost"));
    assert!(reason.ends_with("(sent by `camera`)"), "{reason}");
    assert_eq!(router.totals().undelivered, 1);
}
