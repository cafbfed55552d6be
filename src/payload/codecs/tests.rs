//! Codecs by name: in order, without duplicates, and what they are not.

use super::*;
use crate::payload::Column;

#[derive(Serialize, Deserialize, labrig::Schema, Debug, Clone, PartialEq)]
struct Spot {
    x: f64,
}

/// Writes texts in capitals.
struct Loud;

impl Codec for Loud {
    fn name(&self) -> &str {
        "loud"
    }

    fn encode(&self, value: &dyn Any) -> Option<Result<Parcel, CodecError>> {
        let text = value.downcast_ref::<String>()?;
        Some(Ok(text.to_uppercase().into_bytes().into()))
    }

    fn decode(&self, body: &Parcel) -> Result<Box<dyn Any + Send>, CodecError> {
        let text = String::from_utf8(body.to_vec()).map_err(|error| CodecError::failed("loud", error))?;
        Ok(Box::new(text))
    }
}

fn codecs() -> CodecRegistry {
    let mut codecs = CodecRegistry::new()
        .with(ByType::postcard().knowing::<Spot>())
        .with(ByType::json().knowing::<Spot>().knowing::<u8>());
    codecs.register(Loud).expect("no other is called so");
    codecs
}

fn check_travels<T: Any + Clone + PartialEq + fmt::Debug>(value: T, expected: &str) {
    let codecs = codecs();
    let payload = codecs.encode(&value).expect("it can be written");
    assert_eq!(payload.codec, expected);
    let parcel = codec::pack(&payload, CodecId::Postcard).expect("it travels in a command");
    let attached = parcel.attached.as_deref();
    let came = codec::unpack(&parcel, attached, CodecId::Postcard, &TypeSchema::of::<Payload>());
    assert_eq!(codecs.decode::<T>(&came.expect("it can be read")), Ok(value));
}

#[test]
fn a_value_is_written_by_the_first_codec_that_knows_it() {
    check_travels(Spot { x: 0.5 }, "postcard");
    check_travels(7_u8, "json");
    check_travels(vec![7_u8; 50_000], "bytes");
    check_travels(Array::new([200, 200], vec![0.5_f32; 40_000]).expect("it fits"), "ndarray");
    check_travels(Array::new([1], vec![Complex { re: 1.0, im: 2.0 }]).expect("it fits"), "ndarray");
    let columns = [Column::new("a", "um", vec![0.5; 5000]), Column::new("b", "", vec!["x".to_owned(); 5000])];
    check_travels(Table::new(columns).expect("they fit"), "table");
    check_travels("QUIET".to_owned(), "loud");
}

#[test]
fn codecs_are_ordered_and_have_names_of_their_own() {
    let mut codecs = codecs();
    let names: Vec<_> = codecs.names().collect();
    assert_eq!(names, ["postcard", "json", "bytes", "ndarray", "table", "frame", "loud"]);
    assert_eq!(codecs.register(Loud), Err(CodecError::Duplicate { name: "loud".into() }));
}

#[test]
fn what_no_codec_knows_is_told_with_those_that_there_are() {
    let check = |outcome: Result<Payload, CodecError>, parts: &[&str]| {
        let text = outcome.expect_err("it is refused").to_string();
        parts.iter().for_each(|part| assert!(text.contains(part), "{text}"));
    };
    let codecs = codecs();
    check(codecs.encode_by("zip", &7_u8), &["no codec is called `zip`", "postcard", "frame", "loud"]);
    check(codecs.encode(&'x'), &["a `char` is written by none", "ndarray"]);
    check(codecs.encode_by("table", &7_u8), &["a `u8` is written by none of the codecs [\"table\"]"]);
}

#[test]
fn what_is_read_is_not_believed() {
    let check = |codec: &str, bytes: &[u8], part: &str| {
        let payload = Payload { codec: codec.into(), body: bytes.to_vec().into() };
        let text = codecs().decode::<Spot>(&payload).expect_err("it is refused").to_string();
        assert!(text.contains(part), "{text}");
    };
    let spot = codecs().encode(&Spot { x: 0.5 }).expect("it can be written").body.bytes;
    check("zip", &spot, "no codec is called `zip`");
    check("postcard", &spot[..7], "ends within the fingerprint");
    check("postcard", &spot[..9], "bytes are not a `Spot`");
    check("ndarray", &spot, "no type with the fingerprint");
    check("loud", b"X", "something else than a `");
    check("loud", &[0xff], "utf-8");
}
