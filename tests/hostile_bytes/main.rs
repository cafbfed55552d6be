//! Bytes that no honest peer sends: each is refused by a named error, without a panic and without memory.
//!
//! Postcard alone accepts trailing bytes, follows nesting until the stack ends and believes claimed lengths;
//! the vectors here are those traps. An allocator that counts proves the last part.

mod counting;
mod storm;

use std::collections::{BTreeMap, HashMap};

use labrig::prelude::*;
use labrig::wire::control::{self, CoordinatorWord, ManagerWord};
use labrig::wire::envelope::PROTOCOL_VERSION;
use labrig::wire::{
    BroadcastOutcome, CodecId, CommandSpec, Definition, Envelope, EnvelopeError, Header, Hop, Kind,
    MAX_ENVELOPE_BYTES, NotDone, Parcel, Shape, Target, TypeSchema, codec, inspect,
};
use labrig::wire::{CommandId, Generation, Node};

/// What refusing, or reading, a handful of bytes may allocate: an error's text, or a small value.
const FEW_BYTES: u64 = 4 * 1024;

/// Every kind of part that a payload can have.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Row {
    name: String,
    letter: char,
    is_on: bool,
    small: i8,
    count: u16,
    offset: i64,
    large: u128,
    values: [f64; 2],
    single: f32,
    maybe: Option<Option<i32>>,
    tags: Vec<String>,
    raw: Vec<u8>,
    named: BTreeMap<String, u16>,
    numbered: BTreeMap<i32, bool>,
    kind: Kinds,
    kinds: Vec<Kinds>,
    nothing: (),
    result: Result<u8, String>,
}

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
enum Kinds {
    Plain,
    One(u32),
    Two(u8, String),
    Fields { on: bool, level: f64 },
    Empty {},
}

/// Ends where its bytes say.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
enum Chain {
    End,
    Link(Box<Chain>),
}

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Nested {
    next: Option<Box<Nested>>,
}

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Tree {
    children: Vec<Tree>,
}

/// Small in bytes, large in memory.
#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Wide {
    number: u64,
    #[serde(skip)]
    cache: [u64; 32],
}

#[derive(Serialize, Deserialize, Schema, Debug, Clone, PartialEq)]
struct Marker;

fn row() -> Row {
    Row {
        name: "stage µ".into(),
        letter: 'µ',
        is_on: true,
        small: -3,
        count: 40_000,
        offset: -5_000_000_000,
        large: u128::from(u64::MAX),
        values: [0.5, -1.25e300],
        single: 0.1,
        maybe: Some(Some(-7)),
        tags: vec!["a".into(), String::new()],
        raw: vec![0, 255, 128],
        named: BTreeMap::from([("x".into(), 1), ("y".into(), 300)]),
        numbered: BTreeMap::from([(-1, true), (70_000, false)]),
        kind: Kinds::Fields { on: true, level: 0.5 },
        kinds: vec![Kinds::Plain, Kinds::One(9), Kinds::Two(1, "two".into()), Kinds::Empty {}],
        nothing: (),
        result: Err("no".into()),
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn claim(length: u64, rest: &[u8]) -> Vec<u8> {
    [&varint(length), rest].concat()
}

/// The bytes are refused by the codec with an error that says `because`, and by the guard and the reader of
/// fields too; none of them allocates more than a few KiB on the way.
fn check_refused<T: serde::de::DeserializeOwned + Schema + std::fmt::Debug>(bytes: &[u8], because: &str) {
    let schema = TypeSchema::of::<T>();
    let (decoded, allocated) = counting::allocated_by(|| codec::from_postcard::<T>(bytes, &schema));
    let error = decoded.expect_err("hostile bytes are refused").to_string();
    assert!(error.contains(because), "`{error}` does not say `{because}`");
    assert!(allocated <= FEW_BYTES, "{allocated} bytes were allocated to refuse {} bytes", bytes.len());
    let (read, allocated) = counting::allocated_by(|| inspect::to_json(bytes, &schema));
    assert!(read.is_err(), "the fields of hostile bytes were read: {read:?}");
    let few = FEW_BYTES + 64 * bytes.len() as u64;
    assert!(allocated <= few, "{allocated} bytes were allocated to read fields in {} bytes", bytes.len());
    assert!(!schema.guarded || inspect::guard(bytes, &schema).is_err());
}

/// The bytes of `value` are read back, cost little, and tell the same fields by name as serde's own JSON.
fn check_accepted<T: Serialize + serde::de::DeserializeOwned + Schema + PartialEq + std::fmt::Debug>(
    value: T,
) {
    let schema = TypeSchema::of::<T>();
    let bytes = codec::to_postcard(&value).expect("a value of a test can be written");
    assert_eq!(codec::from_postcard::<T>(&bytes, &schema).as_ref(), Ok(&value));
    let expected = serde_json::to_value(&value).expect("a value of a test has JSON");
    assert_eq!(inspect::to_json(&bytes, &schema), Ok(expected));
}

// --- claimed lengths ---

#[test]
fn a_list_of_nothing_with_a_huge_length_is_refused() {
    for claimed in [u64::MAX, u64::MAX >> 1, 1 << 40, 100_000] {
        check_refused::<Vec<()>>(&claim(claimed, &[]), "claims");
        check_refused::<Vec<Marker>>(&claim(claimed, &[]), "claims");
        check_refused::<Vec<(Marker, [(); 3])>>(&claim(claimed, &[]), "claims");
        check_refused::<BTreeMap<(), ()>>(&claim(claimed, &[]), "claims");
    }
    check_accepted::<Vec<()>>(vec![(); 100]);
}

#[test]
fn lists_of_lists_of_nothing_do_not_add_up_to_a_flood() {
    let inner = claim(1_000, &[]);
    let bytes = claim(40_000, &inner.repeat(40_000));
    let (refused, _) = counting::allocated_by(|| inspect::guard(&bytes, &TypeSchema::of::<Vec<Vec<()>>>()));
    assert!(refused.is_err(), "40 million values were read out of 80 kB");
}

#[test]
fn a_length_beyond_the_bytes_is_refused_without_memory() {
    let twelve = [0; 12];
    for claimed in [13, 1_000, 65_536, 1 << 20, 1 << 32, u64::MAX] {
        check_refused::<String>(&claim(claimed, &twelve), "");
        check_refused::<Vec<u8>>(&claim(claimed, &twelve), "claims");
        check_refused::<Vec<f64>>(&claim(claimed, &twelve), "claims");
        check_refused::<Vec<bool>>(&claim(claimed, &twelve), "claims");
        check_refused::<Vec<String>>(&claim(claimed, &twelve), "claims");
        check_refused::<Vec<Wide>>(&claim(claimed, &twelve), "claims");
        check_refused::<Vec<Row>>(&claim(claimed, &twelve), "claims");
        check_refused::<Vec<Kinds>>(&claim(claimed, &twelve), "claims");
        check_refused::<BTreeMap<u8, u8>>(&claim(claimed, &twelve), "claims");
        check_refused::<HashMap<u64, Wide>>(&claim(claimed, &twelve), "claims");
        check_refused::<Option<Vec<Wide>>>(&[&[1], &claim(claimed, &twelve)[..]].concat(), "claims");
        check_refused::<Vec<BroadcastOutcome>>(&claim(claimed, &twelve), "claims");
    }
}

#[test]
fn a_length_that_only_larger_elements_would_exceed_is_refused_without_memory() {
    check_refused::<Vec<f64>>(&claim(12, &[0; 12]), "end");
    check_refused::<Vec<[u64; 32]>>(&claim(12, &[0; 12]), "end");
    check_refused::<HashMap<u64, [u64; 32]>>(&claim(12, &[0; 12]), "end");
}

#[test]
fn claimed_lengths_in_words_and_answers_are_refused() {
    let read = |claimed| [vec![3, 1, b'v'], claim(claimed, &[])].concat();
    check_refused::<CoordinatorWord>(&read(u64::MAX), "claims");
    let typed = |claimed| [vec![0, 0, 1, b'p', 5], claim(claimed, &[])].concat();
    check_refused::<NotDone>(&typed(u64::MAX), "claims");
}

// --- nesting ---

#[test]
fn a_chain_of_boxes_is_refused() {
    check_refused::<Chain>(&[1; 60_000], "nests deeper");
    check_refused::<Nested>(&[1; 60_000], "nests deeper");
    check_refused::<Tree>(&[1; 60_000], "nests deeper");
    check_refused::<Vec<Chain>>(&claim(1, &[1; 60_000]), "nests deeper");
    check_accepted((0..20).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain))));
}

#[test]
fn nesting_in_json_is_bounded_too() {
    let schema = TypeSchema::of::<Chain>();
    let deep = "{\"Link\":".repeat(10_000);
    let (refused, allocated) = counting::allocated_by(|| codec::from_json::<Chain>(deep.as_bytes(), &schema));
    assert!(refused.is_err_and(|error| error.to_string().contains("recursion")));
    assert!(allocated < 16 * FEW_BYTES, "{allocated} bytes were allocated");
    let list = "[".repeat(60_000);
    assert!(codec::from_json::<Tree>(list.as_bytes(), &TypeSchema::of::<Tree>()).is_err());
    assert!(codec::from_json::<u8>(b"1 2", &TypeSchema::of::<u8>()).is_err(), "something may follow a value");
}

// --- wrong bytes in the right place ---

#[test]
fn trailing_bytes_are_refused() {
    check_refused::<u8>(&[1, 2], "left over");
    check_refused::<()>(&[0], "left over");
    check_refused::<String>(&[1, b'a', b'b'], "left over");
    check_refused::<Vec<u8>>(&[1, 7, 7], "left over");
    let mut bytes = codec::to_postcard(&row()).expect("a row");
    bytes.push(0);
    check_refused::<Row>(&bytes, "1 bytes left over");
    check_refused::<ManagerWord>(&[2, 0], "left over");
}

#[test]
fn values_that_a_type_does_not_have_are_refused() {
    check_refused::<bool>(&[2], "");
    check_refused::<Option<u8>>(&[2, 0], "");
    check_refused::<Kinds>(&[5], "");
    check_refused::<Kinds>(&varint(u64::from(u32::MAX)), "");
    check_refused::<Result<u8, u8>>(&[2, 0], "");
    check_refused::<u16>(&[0xff, 0xff, 0x04], "");
    check_refused::<u64>(&[0xff; 10], "");
    check_refused::<u64>(&[0x80; 12], "");
    check_refused::<String>(&[2, 0xc3, 0x28], "");
    check_refused::<char>(&[0], "");
    check_refused::<char>(&[2, b'a', b'b'], "");
    check_refused::<char>(&[5, 0xf0, 0x9f, 0x92, 0xa9, b'a'], "");
    check_refused::<ManagerWord>(&[200], "");
    check_refused::<CoordinatorWord>(&[6], "");
}

#[test]
fn every_cut_of_a_valid_value_is_refused() {
    let bytes = codec::to_postcard(&row()).expect("a row");
    for cut in 0..bytes.len() {
        check_refused::<Row>(&bytes[..cut], "");
    }
}

#[test]
fn fields_are_read_by_name_as_serde_would_write_them() {
    check_accepted(row());
    check_accepted(vec![Kinds::Two(3, "x".into()), Kinds::Plain]);
    check_accepted((u64::MAX, i64::MIN, u128::from(u64::MAX), i128::from(u64::MAX), i128::from(i64::MIN)));
    check_accepted(BTreeMap::from([('k', Some(1.5f32)), ('µ', None)]));
    check_accepted(BTreeMap::from([(true, vec![Marker, Marker])]));
    check_accepted(Tree { children: vec![Tree { children: vec![] }] });
}

#[test]
fn what_json_has_no_number_for_is_text() {
    let json = |bytes: &[u8], schema: TypeSchema| inspect::to_json(bytes, &schema).expect("a value");
    let bytes = codec::to_postcard(&(f64::NAN, f64::NEG_INFINITY, u128::MAX)).expect("a value");
    let expected = serde_json::json!(["NaN", "-inf", "340282366920938463463374607431768211455"]);
    assert_eq!(json(&bytes, TypeSchema::of::<(f64, f64, u128)>()), expected);
}

// --- schemas that would take for ever ---

/// A type with two fields of the type below it, and so on down: 2^60 paths, 60 types.
fn stack_of_pairs(bottom: Node) -> TypeSchema {
    let mut schema = TypeSchema::of::<()>();
    for level in 0..60 {
        let below = if level == 0 { bottom.clone() } else { Node::Named(format!("T{}", level - 1)) };
        let path = format!("T{level}");
        let shape = Shape::Tuple(vec![below.clone(), below]);
        schema.definitions.insert(path.clone(), Definition { path, doc: String::new(), shape });
    }
    schema.root = Node::List(Box::new(Node::Named("T59".into())));
    schema
}

#[test]
fn a_schema_with_many_paths_to_one_type_takes_no_longer_than_its_size() {
    for bottom in [Node::Unit, Node::U8] {
        let mut schema = stack_of_pairs(bottom);
        assert!(inspect::guard(&claim(1_000, &[0; 12]), &schema).is_err());
        assert!(inspect::guard(&claim(5, &[0; 12]), &schema).is_err());
        schema.root = Node::Named("T59".into());
        assert!(!inspect::needs_guard(&schema));
    }
}

// --- envelopes ---

fn check_envelope(bytes: &[u8], expected: &EnvelopeError) {
    let (opened, allocated) = counting::allocated_by(|| Envelope::open(bytes));
    assert_eq!(opened.as_ref().err(), Some(expected));
    assert!(allocated <= FEW_BYTES, "{allocated} bytes were allocated to refuse an envelope");
}

fn full_header() -> Header {
    Header {
        codec: CodecId::Json,
        generation: Generation(2),
        command: CommandId(7),
        correlation: 9,
        time_left_us: 1_000,
        target: Target::Named("motor".into()),
        chain: vec![Hop { who: 3, command: CommandId(4) }; 2].into(),
        ..Header::new(Kind::Request)
    }
}

#[test]
fn envelopes_that_are_torn_oversized_or_of_no_known_kind_are_refused_by_name() {
    let whole = full_header().seal(b"");
    for cut in 0..whole.len() {
        check_envelope(&whole[..cut], &EnvelopeError::Torn { bytes: cut });
    }
    check_envelope(&vec![PROTOCOL_VERSION; MAX_ENVELOPE_BYTES + 1], &EnvelopeError::Oversized);
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        bytes
    };
    check_envelope(&changed(0, 0), &EnvelopeError::Version { found: 0 });
    for kind in [0, 12, 255] {
        check_envelope(&changed(1, kind), &EnvelopeError::Kind { found: kind });
    }
    check_envelope(&changed(2, 2), &EnvelopeError::Codec { found: 2 });
    check_envelope(&changed(3, 255), &EnvelopeError::TooDeep { found: 255 });
    check_envelope(&changed(35 + 20, 0xff), &EnvelopeError::Name);
    assert!(Envelope::open(&whole).is_ok());
}

#[test]
fn an_envelope_is_not_believed_what_travels_beside_it() {
    let whole = full_header().seal(&[0; 14]);
    let changed = |changes: &[(usize, u8)]| {
        let mut bytes = whole.clone();
        changes.iter().for_each(|(at, to)| bytes[*at] = *to);
        bytes
    };
    check_envelope(&changed(&[(33, 65)]), &EnvelopeError::TooMuchAttached { handles: 65, buffers: 0 });
    check_envelope(&changed(&[(34, 17)]), &EnvelopeError::TooMuchAttached { handles: 0, buffers: 17 });
    check_envelope(&changed(&[(34, 1)]), &EnvelopeError::Buffers { announced: 1, found: 0 });
    check_envelope(&changed(&[(33, 64)]), &EnvelopeError::Torn { bytes: whole.len() });
    let shut = codec::from_postcard::<Parcel>(&[0, 1, 0, 0], TypeSchema::known::<Parcel>());
    assert!(shut.is_err_and(|error| error.to_string().contains("can only be read from a command")));
    let unpack =
        |bytes: &[u8]| codec::unpack::<Parcel>(bytes, None, CodecId::Postcard, TypeSchema::known::<Parcel>());
    let named = unpack(&[0, 0, 1, 5]).expect_err("nothing came with it").to_string();
    assert!(named.contains("a shared buffer is named that did not come with it"), "{named}");
    check_refused::<Parcel>(&claim(0, &claim(1 << 40, &[])), "elements");
}

#[test]
fn a_name_too_long_for_its_field_reaches_nobody_and_leaves_the_payload_alone() {
    for name in ["motor".to_owned() + &"x".repeat(256), "µ".repeat(200)] {
        let bytes = Header { target: Target::Named(name), ..full_header() }.seal(b"payload");
        let envelope = Envelope::open(&bytes).expect("a whole envelope");
        assert_eq!(envelope.payload, b"payload");
        assert!(matches!(envelope.header.target, Target::Named(name) if name.len() > 200));
    }
}

#[test]
fn words_that_are_no_words_are_refused() {
    for payload in [&[][..], &[99], &[0xff; 20], &[5], &[2, 0]] {
        let (opened, allocated) = counting::allocated_by(|| control::open::<ManagerWord>(payload));
        assert!(matches!(opened, Err(EnvelopeError::Payload { .. })), "{payload:?} was read as {opened:?}");
        assert!(allocated <= 16 * FEW_BYTES, "{allocated} bytes were allocated");
    }
    let word = control::seal(&CoordinatorWord::Start);
    let envelope = Envelope::open(&word).expect("an envelope");
    assert_eq!(control::open::<CoordinatorWord>(envelope.payload), Ok(CoordinatorWord::Start));
}

#[test]
fn a_manifest_s_command_is_read_only_whole() {
    let bytes = codec::to_postcard(<labrig::remote::scope::Ping as Command>::spec()).expect("a spec");
    assert!(codec::from_postcard::<CommandSpec>(&bytes, &TypeSchema::of::<CommandSpec>()).is_ok());
    for cut in 0..bytes.len() {
        check_refused::<CommandSpec>(&bytes[..cut], "");
    }
}
