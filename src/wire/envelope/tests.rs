//! Envelopes, whole and damaged, byte by byte.

use super::*;

fn handles(count: u16) -> Vec<Handle> {
    (0..count).map(|owner| HandleId { owner, generation: Generation(6), key: 0x0807 }.into()).collect()
}

fn key(procedure: &str) -> Option<Box<IdempotencyKey>> {
    Some(Box::new(IdempotencyKey { procedure: procedure.to_owned(), mark: u64::MAX, step: 7, index: 2 }))
}

fn full_header() -> Header {
    Header {
        kind: Kind::Request,
        codec: CodecId::Json,
        generation: Generation(3),
        command: CommandId(0x0102_0304_0506_0708),
        correlation: 77,
        time_left_us: 5_000_000,
        target: Target::Named("stage_x".into()),
        chain: smallvec::smallvec![
            Hop { who: 1, command: CommandId(9) },
            Hop { who: Hop::SCOPE, command: CommandId(8) },
        ],
        attached: Attached { handles: handles(2), buffers: Vec::new(), key: key("scan-12") }.boxed(),
    }
}

fn check_error(bytes: &[u8], expected: EnvelopeError) {
    assert_eq!(Envelope::open(bytes), Err(expected));
}

#[test]
fn an_envelope_comes_out_as_it_went_in() {
    let bytes = full_header().seal(b"payload");
    let envelope = Envelope::open(&bytes).expect("a whole envelope");
    assert_eq!(envelope, Envelope { header: full_header(), payload: b"payload" });
}

#[test]
fn the_bytes_of_a_header_are_pinned() {
    let attached = Attached { handles: handles(1), ..Attached::default() }.boxed();
    let bytes = Header { chain: Hops::new(), attached, ..full_header() }.seal(&[0xee]);
    let expected = [
        PROTOCOL_VERSION,
        1,
        1,
        0,
        3,
        0,
        0,
        0,
        8,
        7,
        6,
        5,
        4,
        3,
        2,
        1,
        77,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x40,
        0x4b,
        0x4c,
        0,
        0,
        0,
        0,
        0,
        7,
        1,
        0,
        // The handle.
        0,
        0,
        6,
        0,
        0,
        0,
        7,
        8,
        0,
        0,
        0,
        0,
        0,
        0,
        b's',
        b't',
        b'a',
        b'g',
        b'e',
        b'_',
        b'x',
        0xee,
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn every_cut_within_the_header_is_torn() {
    let bytes = full_header().seal(&[]);
    for cut in 0..bytes.len() {
        check_error(&bytes[..cut], EnvelopeError::Torn { bytes: cut });
    }
}

#[test]
fn what_no_envelope_says_is_named() {
    let changed = |at: usize, to: u8| {
        let mut bytes = full_header().seal(&[]);
        bytes[at] = to;
        bytes
    };
    check_error(&changed(0, 9), EnvelopeError::Version { found: 9 });
    check_error(&changed(1, 99), EnvelopeError::Kind { found: 99 });
    check_error(&changed(2, 7), EnvelopeError::Codec { found: 7 });
    check_error(&changed(3, 17), EnvelopeError::TooDeep { found: 17 });
    check_error(&changed(33, 65), EnvelopeError::TooMuchAttached { handles: 65, buffers: 0 });
    check_error(&changed(34, 17), EnvelopeError::TooMuchAttached { handles: 2, buffers: 17 });
    check_error(&vec![1; MAX_ENVELOPE_BYTES + 1], EnvelopeError::Oversized);
}

#[test]
fn the_largest_header_leaves_room_for_the_largest_payload() {
    let header = Header {
        target: Target::Named("x".repeat(255)),
        chain: std::iter::repeat_n(Hop { who: 1, command: CommandId(9) }, MAX_CHAIN).collect(),
        attached: Attached {
            handles: handles(MAX_HANDLES as u16),
            buffers: Vec::new(),
            key: key(&"x".repeat(255)),
        }
        .boxed(),
        ..full_header()
    };
    let bytes = header.seal(&vec![7; MAX_PAYLOAD_BYTES]);
    assert_eq!(Envelope::open(&bytes).map(|envelope| envelope.header), Ok(header));
}

#[test]
fn a_key_travels_whatever_else_does_and_costs_no_byte_where_there_is_none() {
    let attached = Attached { key: key("scan-12"), ..Attached::default() }.boxed();
    let with_key = Header { attached, ..Header::new(Kind::Send) };
    let bytes = with_key.seal(b"payload");
    assert_eq!(Envelope::open(&bytes).map(|it| it.header), Ok(with_key));
    assert_eq!(bytes.len(), Header::new(Kind::Send).seal(b"payload").len() + 21 + "scan-12".len());
    let long = Attached { key: key(&"µ".repeat(200)), ..Attached::default() }.boxed();
    let bytes = Header { attached: long, ..Header::new(Kind::Send) }.seal(&[]);
    let header = Envelope::open(&bytes).expect("a whole envelope").header;
    assert_eq!(header.attached.and_then(|it| it.key), key(&"µ".repeat(127)), "a name is cut to its field");
}

#[test]
fn a_key_whose_procedure_is_no_word_of_a_line_is_refused() {
    let attached = Attached { key: key("scan\n-12"), ..Attached::default() }.boxed();
    check_error(&Header { attached, ..Header::new(Kind::Send) }.seal(&[]), EnvelopeError::Name);
}

fn descriptors(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| tempfile::tempfile().expect("a file").into()).collect()
}

fn with_buffers(kind: Kind, count: usize) -> Header {
    let buffers = descriptors(count).into_iter().map(Buffer::new).collect();
    Header { attached: Attached { handles: handles(1), buffers, key: None }.boxed(), ..Header::new(kind) }
}

#[test]
fn buffers_are_the_descriptors_of_the_same_packet() {
    let parcel = with_buffers(Kind::Done, 2).pack(b"payload");
    let mut came = descriptors(2);
    let envelope = Envelope::receive(&parcel, &mut came).expect("a whole envelope");
    assert_eq!((envelope.payload, envelope.header.buffers().len(), came.len()), (&b"payload"[..], 2, 0));
    let local = Envelope::unpack(&parcel).expect("a whole envelope");
    assert_eq!(local.header.buffers(), parcel.buffers(), "nothing is copied within a process");
}

#[test]
fn other_descriptors_than_were_announced_are_no_envelope() {
    for (announced, found) in [(2, 1), (0, 1), (1, 0), (1, 16)] {
        let bytes = with_buffers(Kind::Request, announced).seal(&[]);
        let expected = EnvelopeError::Buffers { announced: announced as u8, found };
        assert_eq!(Envelope::receive(&bytes, &mut descriptors(found)), Err(expected));
    }
    // Those of a control word are known by the word.
    let mut came = descriptors(3);
    let bytes = Header::new(Kind::Control).seal(&[]);
    assert!(Envelope::receive(&bytes, &mut came).is_ok() && came.len() == 3);
}
