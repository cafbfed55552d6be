//! A storm of made-up bytes, the same in every run: nothing panics, and the two readers agree.
//!
//! `LABRIG_STORM=25` asks for twenty-five times the dose of every day.

use std::collections::BTreeMap;

use labrig::wire::control::{self, CoordinatorWord, ManagerWord};
use labrig::wire::{
    BroadcastOutcome, CommandSpec, Envelope, Failure, Hop, NotDone, Refusal, Schema, TypeSchema, codec,
    inspect,
};
use labrig::wire::{CommandId, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Chain, Kinds, Marker, Nested, Tree, full_header, row};

const DAILY_DOSE: usize = 200_000;

/// A generator of numbers that is the same everywhere.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() % limit.max(1)
    }

    /// A byte, often one at which something changes.
    fn byte(&mut self) -> u8 {
        let edges = [0, 1, 2, 3, 0x7f, 0x80, 0xff];
        if self.below(2) == 0 { edges[self.below(edges.len())] } else { self.next() as u8 }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.byte()).collect()
    }

    /// Damages bytes in one of the ways in which bytes are damaged.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(8)).min(bytes.len());
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.byte()),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.extend_from_within(at..end),
            4 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            _ if at < bytes.len() => bytes[at] = self.byte(),
            _ => {}
        }
    }
}

/// A type that is read, and bytes of it to begin with.
struct Reading {
    check: fn(&[u8]) -> bool,
    valid: Vec<Vec<u8>>,
}

fn reading<T: Serialize + DeserializeOwned + Schema + 'static>(values: &[T]) -> Reading {
    let valid = values.iter().map(|value| codec::to_postcard(value).expect("a value can be written"));
    Reading { check: check_readers_agree::<T>, valid: valid.collect() }
}

/// The codec and the reader of fields accept the same bytes, and see the same in them. Says whether they did.
fn check_readers_agree<T: Serialize + DeserializeOwned + Schema + 'static>(bytes: &[u8]) -> bool {
    let schema = TypeSchema::known::<T>();
    let decoded = codec::from_postcard::<T>(bytes, schema);
    let fields = inspect::to_json(bytes, schema);
    assert_eq!(inspect::guard(bytes, schema).is_ok(), fields.is_ok(), "guard and reader differ on {bytes:?}");
    match (decoded, fields) {
        (Ok(value), Ok(fields)) => {
            // Integers beyond 64 bits have no JSON of serde's.
            if let Ok(expected) = serde_json::to_value(&value) {
                assert!(agrees(&fields, &expected), "{bytes:?}: {fields} is not {expected}");
            }
            true
        }
        (Err(_), Err(_)) => false,
        // What would have come beside the bytes did not, which the fields do not show.
        (Err(error), Ok(_)) if error.to_string().contains("can only be read from a command") => false,
        (Ok(_), Err(error)) => panic!("only the codec reads {bytes:?}: {error}"),
        (Err(error), Ok(fields)) => panic!("only the reader of fields reads {bytes:?}: {error}, {fields}"),
    }
}

/// As equal as text and numbers can be: serde writes NaN and the infinities as null.
fn agrees(fields: &Value, expected: &Value) -> bool {
    match (fields, expected) {
        (Value::String(text), Value::Null) => ["NaN", "inf", "-inf"].contains(&text.as_str()),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| agrees(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(key, value)| right.get(key).is_some_and(|other| agrees(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}

fn readings() -> Vec<Reading> {
    let chain = (0..12).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    let nested = (0..12).fold(Nested { next: None }, |inner, _| Nested { next: Some(Box::new(inner)) });
    let tree = |children| Tree { children };
    let failed = NotDone::Failed(Failure::typed(&Kinds::Two(1, "why".into()), "text".into()));
    let busy = Refusal::UnknownCommand { command: "MoveTo".into() };
    let outcome = |outcome| BroadcastOutcome { manager: "motor".into(), generation: 1, outcome };
    vec![
        reading(&[row()]),
        reading(&[Kinds::Plain, Kinds::One(300), Kinds::Fields { on: true, level: 1.0 }]),
        reading(&[chain]),
        reading(&[nested]),
        reading(&[tree(vec![tree(vec![]), tree(vec![tree(vec![])])])]),
        reading(&[vec![vec![()]; 4]]),
        reading(&[vec![Marker; 5]]),
        reading(&[(i128::MIN, u128::MAX, 'µ', 1.5f32, -1i16)]),
        reading(&[BTreeMap::from([(5u64, 'x'), (u64::MAX, 'y')])]),
        reading(&[NotDone::Lost, failed.clone(), NotDone::Refused(busy.clone())]),
        reading(&[vec![
            outcome(Ok(vec![1, 2].into())),
            outcome(Err(failed)),
            outcome(Err(NotDone::Refused(busy))),
        ]]),
        reading(&[<labrig::remote::scope::Ping as labrig::wire::Command>::spec().clone()] as &[CommandSpec]),
        reading(&words()),
    ]
}

fn words() -> Vec<ManagerWord> {
    vec![
        ManagerWord::Hello { version: "0.1.0".into() },
        ManagerWord::Differs { command: "rig::MoveTo".into(), theirs: CommandId(5) },
        ManagerWord::SetupFailed(Failure::text("no device")),
        ManagerWord::Log { level: 3, target: "labrig".into(), message: "moved".into() },
        ManagerWord::Abandon { correlation: 70_000 },
    ]
}

/// Reads bytes as a pipe's two ends would.
fn check_envelope_storm(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::open(bytes) {
        assert_eq!(envelope.header.seal(envelope.payload), bytes, "an envelope comes out as it went in");
        let _ = control::open::<ManagerWord>(envelope.payload);
        let _ = control::open::<CoordinatorWord>(envelope.payload);
    }
}

fn envelopes() -> Vec<Vec<u8>> {
    let sealed = |kind| labrig::wire::Header {
        kind,
        chain: [Hop { who: 1, command: CommandId(2) }].into(),
        ..full_header()
    };
    let mut envelopes: Vec<_> = words().iter().map(control::seal).collect();
    envelopes.push(sealed(Kind::Request).seal(b"payload"));
    envelopes.push(sealed(Kind::Report).seal(&[]));
    envelopes
}

fn dose() -> usize {
    let times = std::env::var("LABRIG_STORM").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    DAILY_DOSE.saturating_mul(times)
}

#[test]
fn made_up_bytes_never_panic_and_both_readers_agree_on_them() {
    let (mut chance, readings) = (Lcg(0x1ab_0719), readings());
    let mut accepted = 0;
    for _ in 0..dose() {
        let reading = &readings[chance.below(readings.len())];
        let mut bytes = match chance.below(8) {
            0 => chance.bytes(40),
            _ => reading.valid[chance.below(reading.valid.len())].clone(),
        };
        for _ in 0..chance.below(4) {
            chance.damage(&mut bytes);
        }
        accepted += usize::from((reading.check)(&bytes));
    }
    assert!(accepted > dose() / 10, "only {accepted} inputs were values: the storm tests nothing");
}

#[test]
fn made_up_envelopes_never_panic() {
    let (mut chance, envelopes) = (Lcg(0x3e1_0e5), envelopes());
    for _ in 0..dose() {
        let mut bytes = match chance.below(8) {
            0 => [&[1], &chance.bytes(80)[..]].concat(),
            _ => envelopes[chance.below(envelopes.len())].clone(),
        };
        for _ in 0..chance.below(4) {
            chance.damage(&mut bytes);
        }
        check_envelope_storm(&bytes);
    }
}
