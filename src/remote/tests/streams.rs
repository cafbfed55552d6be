//! Replies of many items, from the handler's iterator to the caller's.

use std::thread;

use super::*;
use crate::remote::chunks::{ChunkSource, collect_outgoing};
use crate::remote::{CallError, PendingReply, ReplyStream, StreamNews};
use crate::wire::{CodecId, Command, DecodeError, Failure, TypeSchema};

/// Answered by numbers, one after the other.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug, Clone)]
#[command(reply = ReplyStream<u32>)]
struct CountUp {}

/// A stream within a reply.
#[derive(crate::Schema, serde::Serialize, serde::Deserialize, Debug)]
struct Numbers {
    count: u32,
    numbers: ReplyStream<u32>,
}

/// Answered by their number, and numbers.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug, Clone)]
#[command(reply = Numbers)]
struct CountMore {}

/// Carries what no command can.
#[derive(crate::Command, crate::Schema, serde::Serialize, serde::Deserialize, Debug)]
struct CarryOff {
    numbers: ReplyStream<u32>,
}

/// What a dispatch does with a reply.
fn reply<R: serde::Serialize>(reply: &R) -> (Vec<u8>, Box<dyn ChunkSource>) {
    let (bytes, source) = collect_outgoing(|| codec::encode(reply, CodecId::Postcard));
    (bytes.expect("it can be written"), source.expect("it holds a stream"))
}

fn ask() -> (Arc<ByHand>, PendingReply<ReplyStream<u32>>) {
    let port = Arc::new(ByHand::default());
    let pending = port.scope().request(CountUp {}).expect("accepted");
    (port, pending)
}

/// A stream that has been opened.
fn opened() -> (Arc<ByHand>, ReplyStream<u32>) {
    let (port, pending) = ask();
    port.end(1, Ending::Done(vec![0].into()));
    let stream = pending.wait(Duration::ZERO).expect("it is opened");
    (port, stream)
}

fn chunk(port: &ByHand, items: &[u32]) {
    port.slot(1).push(StreamNews::Chunk(codec::to_postcard(items).expect("numbers").into()));
}

fn end(port: &ByHand, end: Result<(), NotDone>) {
    port.slot(1).push(StreamNews::End(end));
}

fn unreadable<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match result {
        Err(CallError::UnreadableAnswer { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

const TAKEN_BACK: [Told; 2] = [Told::Cancel(1), Told::Abandon(1)];

#[test]
fn a_stream_comes_out_as_it_went_in() {
    let (port, pending) = ask();
    let (bytes, mut source) = reply(&ReplyStream::new(0..1000_u32));
    assert_eq!(bytes, [0]);
    port.end(1, Ending::Done(bytes.into()));
    let mut chunks = 0;
    while let Some(chunk) = source.next_chunk() {
        port.slot(1).push(StreamNews::Chunk(chunk.expect("a chunk")));
        chunks += 1;
    }
    end(&port, Ok(()));
    let stream = pending.wait(Duration::ZERO).expect("it is opened");
    let items: Vec<_> = stream.collect::<Result<_, _>>().expect("a whole stream");
    assert!(items.iter().copied().eq(0..1000), "{} items", items.len());
    assert_eq!(port.told(), vec![Told::Grant(1, 1); chunks]);
}

#[test]
fn a_stream_is_an_empty_list_in_every_codec() {
    let (bytes, source) = collect_outgoing(|| codec::encode(&ReplyStream::new(0..3), CodecId::Json));
    assert_eq!((bytes, source.is_some()), (Ok(b"[]".to_vec()), true));
    let shape = codec::from_postcard::<ReplyStream<u32>>(&[1, 7], &CountUp::spec().reply);
    assert!(shape.expect_err("a number too many").to_string().contains("is not empty"));
}

#[test]
fn a_stream_within_a_reply_comes_with_it() {
    let port = Arc::new(ByHand::default());
    let pending = port.scope().request(CountMore {}).expect("accepted");
    let (bytes, _) = reply(&Numbers { count: 2, numbers: ReplyStream::new(5..7) });
    port.end(1, Ending::Done(bytes.into()));
    let Numbers { count, numbers } = pending.wait(Duration::ZERO).expect("it is opened");
    chunk(&port, &[5, 6]);
    end(&port, Ok(()));
    assert_eq!((count, numbers.flatten().collect::<Vec<_>>()), (2, vec![5, 6]));
}

#[test]
fn whoever_iterates_waits_for_the_next_chunk() {
    let (port, mut stream) = opened();
    thread::scope(|threads| {
        let reader = threads.spawn(move || (stream.next(), stream.next(), stream.next()));
        chunk(&port, &[]);
        chunk(&port, &[7]);
        end(&port, Ok(()));
        assert_eq!(reader.join().expect("it does not panic"), (Some(Ok(7)), None, None));
    });
    assert_eq!(port.told(), [Told::Grant(1, 1), Told::Grant(1, 1)]);
}

#[test]
fn patience_with_one_item_may_end_before_the_stream_does() {
    let (port, stream) = opened();
    let mut stream = stream.with_patience(MOMENT);
    let not_yet = CallError::NoAnswerYet { facts: counted("CountUp"), patience: MOMENT };
    assert_eq!(stream.next(), Some(Err(not_yet)));
    chunk(&port, &[7]);
    assert_eq!(stream.next(), Some(Ok(7)));
}

#[test]
fn what_ends_a_stream_half_way_is_its_last_item() {
    let (port, mut stream) = opened();
    chunk(&port, &[7]);
    end(&port, Err(NotDone::Failed(Failure::text("jammed"))));
    assert_eq!(stream.next(), Some(Ok(7)));
    let error = stream.next().expect("the reason").expect_err("it failed");
    assert_eq!(error.to_string(), "`CountUp` at `motor` failed: jammed");
    assert_eq!(stream.next(), None);
    drop(stream);
    assert_eq!(port.told(), [Told::Grant(1, 1)]);
}

#[test]
fn a_chunk_that_is_none_takes_the_stream_back() {
    let (port, mut stream) = opened();
    port.slot(1).push(StreamNews::Chunk(vec![9].into()));
    let claimed = unreadable(stream.next().expect("the reason"));
    assert_eq!(claimed, "a list in a `list of u32` claims 9 elements with 0 bytes left");
    assert_eq!(stream.next(), None);
    drop(stream);
    assert_eq!(port.told(), [&[Told::Grant(1, 1)], &TAKEN_BACK[..]].concat());
}

#[test]
fn a_handler_that_is_cancelled_takes_back_what_it_reads() {
    let (port, mut stream) = opened();
    port.gives_up.store(true, Ordering::Relaxed);
    chunk(&port, &[7]);
    assert_eq!(stream.next(), Some(Ok(7)));
    assert_eq!(stream.next(), Some(Err(CallError::Cancelled(counted("CountUp")))));
    assert_eq!(stream.next(), None);
    assert_eq!(port.told(), [&[Told::Grant(1, 1)], &TAKEN_BACK[..]].concat());
}

#[test]
fn a_stream_that_is_dropped_before_its_end_is_taken_back() {
    let (port, stream) = opened();
    drop(stream);
    assert_eq!(port.told(), TAKEN_BACK);
    let (port, mut stream) = opened();
    end(&port, Ok(()));
    assert_eq!(stream.next(), None);
    drop(stream);
    assert_eq!(port.told(), []);
}

#[test]
fn a_stream_has_one_reader() {
    let (port, pending) = ask();
    let pending = pending.map(|stream| stream);
    port.end(1, Ending::Done(vec![0].into()));
    let mut stream = pending.try_value().expect("it has ended").expect("it is opened");
    let again = unreadable(pending.try_value().expect("it has ended"));
    assert_eq!(
        again,
        "bytes are not a `ReplyStream<u32>`: the stream of this reply has its one reader already"
    );
    assert!(pending.is_ready() && !pending.is_error());
    drop(pending);
    chunk(&port, &[7]);
    assert_eq!(stream.next(), Some(Ok(7)));
    assert_eq!(port.told(), [Told::Grant(1, 1)]);
}

#[test]
fn a_stream_that_nobody_can_read_is_ended_when_it_begins() {
    let settle = || assert!(crate::remote::callbacks::settle(PATIENCE));
    let (port, pending) = ask();
    drop(pending);
    assert_eq!(port.told(), [Told::Attend(1)]);
    port.end(1, Ending::Done(vec![0].into()));
    settle();
    assert_eq!(port.told(), TAKEN_BACK);

    let (port, pending) = ask();
    port.end(1, Ending::Done(vec![0].into()));
    drop(pending);
    assert_eq!(port.told(), TAKEN_BACK);

    let (port, pending) = ask();
    assert!(matches!(pending.wait(MOMENT), Err(CallError::NoAnswerYet { .. })));
    port.not_done(1, NotDone::Lost);
    settle();
    assert_eq!(port.told(), [Told::Attend(1)]);
}

#[test]
fn a_callback_may_be_the_reader() {
    let (port, pending) = ask();
    let (told, heard) = crossbeam_channel::bounded(1);
    pending.on_complete(move |stream| told.send(stream.expect("it is opened")).expect("the test listens"));
    drop(pending);
    port.end(1, Ending::Done(vec![0].into()));
    let mut stream = heard.recv_timeout(PATIENCE).expect("it is told");
    chunk(&port, &[7]);
    assert_eq!(stream.next(), Some(Ok(7)));
    assert_eq!(port.told(), [Told::Attend(1), Told::Grant(1, 1)]);
}

#[test]
fn a_stream_is_nothing_but_a_reply() {
    let port = Arc::new(ByHand::default());
    let refusal = port.scope().send(CarryOff { numbers: ReplyStream::new(0..3) }).expect_err("no command");
    let expected =
        "`CarryOff` could not be encoded: a reply stream can only be sent in the reply to a request";
    assert_eq!(refusal.to_string(), expected);
    let read = codec::from_postcard::<ReplyStream<u32>>(&[0], &CountUp::spec().reply);
    let DecodeError::Malformed { reason, .. } = read.expect_err("no answer") else { panic!("malformed") };
    assert_eq!(reason, "a reply stream can only be read from the reply to a request");
}

#[test]
fn a_reply_holds_one_stream_and_none_that_was_received() {
    let numbers = || ReplyStream::new(0..3);
    let write = |pair: &(ReplyStream<u32>, ReplyStream<u32>)| {
        let (written, source) = collect_outgoing(|| codec::to_postcard(pair));
        assert!(source.is_some(), "the first");
        written.expect_err("a stream too many").reason
    };
    assert_eq!(write(&(numbers(), numbers())), "a reply can hold one reply stream");
    let (_port, received) = opened();
    assert!(write(&(numbers(), received)).contains("that was received"));
    let twice = numbers();
    let (_, source) = reply(&twice);
    drop(source);
    let (written, _) = collect_outgoing(|| codec::to_json(&twice));
    assert_eq!(written.expect_err("it is gone").reason, "a reply stream is sent once");
}

#[test]
fn a_reply_stream_can_be_looked_at_where_it_is_made() {
    let mut stream = ReplyStream::new(0..2).with_patience(MOMENT);
    assert_eq!((stream.next(), stream.next(), stream.next()), (Some(Ok(0)), Some(Ok(1)), None));
}

#[test]
fn the_fingerprint_of_a_stream_is_that_of_its_items() {
    let numbers = TypeSchema::of::<ReplyStream<u32>>();
    assert_eq!(numbers.root.describe(), "ReplyStream<u32>");
    assert_ne!(numbers.fingerprint(), TypeSchema::of::<ReplyStream<u64>>().fingerprint());
    assert_ne!(numbers.fingerprint(), TypeSchema::of::<Vec<u32>>().fingerprint());
    let holds = crate::remote::reply_stream::holds_stream;
    assert!(holds(&numbers) && holds(&CountMore::spec().reply));
    assert!(!holds(&Count::spec().reply) && !holds(&TypeSchema::of::<Progress>()));
}
