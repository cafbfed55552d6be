//! Streams that answer calls, and how far a call has come.

use std::time::Duration;

use labrig::coordinator::router::{Caller, Life};
use labrig::remote::WINDOW;
use labrig::remote::{Answer, StreamNews};
use labrig::wire::control::CoordinatorWord;
use labrig::wire::envelope::MAX_PAYLOAD_BYTES;
use labrig::wire::{Ending, EnvelopeError, Generation, Header, Kind, MAX_ENVELOPE_BYTES, NotDone, Target};

use super::bench::*;

const SECOND: Duration = Duration::from_secs(1);
const ME: Caller = Caller::Local(1);
const STAGE: Caller = Caller::Manager { index: STAGE_X, generation: Generation(1), correlation: 5 };

/// The camera is asked by that caller, and has taken the command.
fn asked_by(caller: Caller) -> (Bench, Sent) {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(caller).within(SECOND));
    let asked = bench.pass(CAMERA).expect("it is sent");
    bench.take(CAMERA);
    (bench, asked)
}

/// The camera answers by a stream.
fn open_for(caller: Caller) -> (Bench, Sent) {
    let (mut bench, asked) = asked_by(caller);
    bench.tell(CAMERA, &asked, Kind::Opened, b"opened").expect("it may be");
    (bench, asked)
}

fn chunk(bench: &mut Bench, asked: &Sent, number: u8) -> Result<(), EnvelopeError> {
    bench.tell(CAMERA, asked, Kind::Chunk, &[number])
}

fn fill_window(bench: &mut Bench, asked: &Sent) {
    for number in 0..WINDOW as u8 {
        chunk(bench, asked, number).expect("it was granted");
    }
}

/// What a caller that is a manager has got: of which kind, and its payload.
fn got(bench: &mut Bench) -> Vec<(Kind, Vec<u8>)> {
    let got = bench.pass_all(STAGE_X);
    assert!(got.iter().all(|sent| sent.header.correlation == 5), "{got:?}");
    got.into_iter().map(|sent| (sent.header.kind, sent.payload)).collect()
}

#[test]
fn a_stream_is_answered_first_then_chunks_come_and_its_end() {
    let (mut bench, asked) = open_for(ME);
    let news = bench.news();
    let ending = Ending::Done(b"opened".to_vec().into());
    let chain = asked.header.chain.clone();
    let answer = Answer::One { ending, by: "camera".into(), generation: Generation(1), chain };
    assert_eq!(news.opened, [(ME, answer)]);
    assert!(news.answers.is_empty());
    fill_window(&mut bench, &asked);
    bench.answer(CAMERA, &asked, Ok(b""));
    let news = bench.news();
    let chunks = (0..WINDOW as u8).map(|number| StreamNews::Chunk(vec![number].into()));
    let expected: Vec<_> = chunks.chain([StreamNews::End(Ok(()))]).map(|news| (ME, news)).collect();
    assert_eq!(news.streamed, expected);
    assert!(news.answers.is_empty(), "it was answered twice");
    assert_eq!(bench.router.totals().done, 1);
    bench.check_settled();
}

#[test]
fn a_stream_for_a_manager_comes_through_its_pipe() {
    let (mut bench, asked) = open_for(STAGE);
    let opened = bench.pass(STAGE_X).expect("the answer");
    let expected = Header {
        correlation: 5,
        generation: Generation(1),
        target: Target::Named("camera".into()),
        chain: asked.header.chain.clone(),
        ..Header::new(Kind::Opened)
    };
    assert_eq!((opened.header, opened.payload), (expected, b"opened".to_vec()));
    chunk(&mut bench, &asked, 1).expect("it was granted");
    chunk(&mut bench, &asked, 2).expect("it was granted");
    bench.answer(CAMERA, &asked, Ok(b""));
    assert_eq!(got(&mut bench), [(Kind::Chunk, vec![1]), (Kind::Chunk, vec![2]), (Kind::Done, vec![])]);
    bench.check_settled();
}

/// A stream on which `act` is done ends for this reason, for both kinds of callers.
fn check_stream_end(act: impl Fn(&mut Bench, &Sent), expected: &NotDone) {
    let (mut bench, asked) = open_for(ME);
    drop(bench.news());
    act(&mut bench, &asked);
    assert_eq!(bench.news().streamed, [(ME, StreamNews::End(Err(expected.clone())))]);
    bench.check_settled();
    let (mut bench, asked) = open_for(STAGE);
    drop(bench.pass_all(STAGE_X));
    act(&mut bench, &asked);
    assert_eq!(bench.pass(STAGE_X).expect("the end").not_done(), *expected);
    bench.check_settled();
    assert!(chunk(&mut bench, &asked, 9).is_ok() && bench.pass(STAGE_X).is_none(), "a chunk after the end");
}

#[test]
fn a_stream_ends_as_its_station_says_or_with_it() {
    for why in [NotDone::Cancelled, NotDone::Failed(labrig::wire::Failure::text("no light"))] {
        check_stream_end(|bench, asked| bench.answer(CAMERA, asked, Err(why.clone())), &why);
    }
    check_stream_end(|bench, _| bench.die(CAMERA), &NotDone::Indeterminate);
}

#[test]
fn a_chunk_that_was_not_granted_is_an_error() {
    for caller in [ME, STAGE] {
        let (mut bench, asked) = open_for(caller);
        fill_window(&mut bench, &asked);
        assert!(chunk(&mut bench, &asked, 0).is_err());
        assert_eq!(bench.router.in_flight().0, 1, "the stream is still there");
        let (mut bench, asked) = asked_by(caller);
        assert!(chunk(&mut bench, &asked, 0).is_err(), "no stream was opened");
    }
}

#[test]
fn a_reader_grants_what_it_has_taken_and_no_more() {
    let (mut bench, asked) = open_for(ME);
    let granted = |bench: &mut Bench, chunks| {
        bench.router.grant(ME, chunks);
        bench.pass(CAMERA).map(|sent| sent.word())
    };
    let id = asked.header.correlation;
    assert_eq!(granted(&mut bench, 4), None, "nothing has come");
    fill_window(&mut bench, &asked);
    assert_eq!(granted(&mut bench, 0), None);
    assert_eq!(granted(&mut bench, 3), Some(CoordinatorWord::Grant { correlation: id, chunks: 3 }));
    for number in 0..3 {
        chunk(&mut bench, &asked, number).expect("it was granted");
    }
    assert!(chunk(&mut bench, &asked, 3).is_err());
    let rest = CoordinatorWord::Grant { correlation: id, chunks: WINDOW };
    assert_eq!(granted(&mut bench, u32::MAX), Some(rest));
    assert_eq!(granted(&mut bench, 1), None);
}

#[test]
fn a_manager_has_not_taken_what_is_not_in_its_pipe() {
    let (mut bench, asked) = open_for(STAGE);
    fill_window(&mut bench, &asked);
    bench.router.grant(STAGE, WINDOW);
    assert!(bench.pass(CAMERA).is_none(), "all chunks wait for room in the pipe");
    (0..4).for_each(|_| drop(bench.pass(STAGE_X)));
    bench.router.grant(STAGE, WINDOW);
    let granted = CoordinatorWord::Grant { correlation: asked.header.correlation, chunks: 3 };
    assert_eq!(bench.pass(CAMERA).expect("a grant").word(), granted, "the answer was no chunk");
}

#[test]
fn the_scope_is_granted_more_of_its_stream() {
    let mut bench = Bench::ready();
    bench.accept(request(SAVE).by(STAGE));
    let asked = bench.pass(SCOPE).expect("it is sent");
    bench.tell(SCOPE, &asked, Kind::Opened, b"").expect("it may be");
    bench.tell(SCOPE, &asked, Kind::Chunk, b"1").expect("it was granted");
    drop(bench.pass_all(STAGE_X));
    bench.router.grant(STAGE, 7);
    assert_eq!(bench.news().grants, [(asked.header.correlation, 1)]);
}

#[test]
fn nobody_grants_what_is_no_stream_of_its_own() {
    let (mut bench, asked) = open_for(ME);
    fill_window(&mut bench, &asked);
    bench.accept(request(EXPOSE).by(Caller::Local(2)));
    bench.accept(broadcast(SET_LIGHT).by(Caller::Local(3)));
    for caller in [STAGE, Caller::Local(2), Caller::Local(3), Caller::Local(4)] {
        bench.router.grant(caller, 1);
    }
    let is_word = |sent: &Sent| sent.header.kind == Kind::Control;
    assert!(!bench.pass_all(CAMERA).iter().any(is_word));
    assert!(chunk(&mut bench, &asked, 1).is_err());
}

#[test]
fn an_opened_stream_has_no_deadline() {
    let (mut bench, asked) = open_for(ME);
    assert_eq!(bench.router.next_deadline(), None);
    bench.router.set_expiry(ME, Some(bench.now + SECOND));
    assert_eq!(bench.router.next_deadline(), None);
    bench.later(100 * SECOND);
    assert!(bench.news().streamed.is_empty());
    chunk(&mut bench, &asked, 1).expect("it goes on");
}

#[test]
fn a_reader_that_dies_has_its_streams_stopped() {
    let (mut bench, asked) = open_for(STAGE);
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 6));
    bench.accept(request(EXPOSE).by_manager(STAGE_Y, 5));
    bench.die(STAGE_X);
    assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)], "the others just run");
    chunk(&mut bench, &asked, 1).expect("it was granted before");
    bench.router.begin_life(STAGE_X, Generation(2));
    bench.router.set_life(STAGE_X, Life::Ready);
    bench.router.grant(STAGE, 1);
    chunk(&mut bench, &asked, 2).expect("it was granted before");
    bench.answer(CAMERA, &asked, Err(NotDone::Cancelled));
    assert!(bench.pass(STAGE_X).is_none(), "its successor reads what it read");
    assert_eq!(bench.router.totals().cancelled, 1);
}

#[test]
fn a_stream_that_is_opened_for_the_dead_is_stopped() {
    let (mut bench, asked) = asked_by(STAGE);
    bench.die(STAGE_X);
    assert!(bench.news().cancels.is_empty(), "what was accepted runs");
    bench.tell(CAMERA, &asked, Kind::Opened, b"opened").expect("it may be");
    assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)]);
    bench.answer(CAMERA, &asked, Err(NotDone::Cancelled));
    bench.check_settled();
}

#[test]
fn a_stream_that_nobody_waits_for_any_more_is_stopped() {
    let give_up: [fn(&mut Bench); 2] = [|bench| bench.router.abandon(ME), |bench| bench.later(SECOND)];
    for give_up in give_up {
        let (mut bench, asked) = asked_by(ME);
        give_up(&mut bench);
        drop(bench.news());
        bench.tell(CAMERA, &asked, Kind::Opened, b"opened").expect("it may be");
        assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)]);
        assert_eq!(bench.router.totals().late_answers, 1);
        chunk(&mut bench, &asked, 1).expect("it was granted");
        bench.answer(CAMERA, &asked, Err(NotDone::Cancelled));
        let news = bench.news();
        assert!(news.opened.is_empty() && news.streamed.is_empty() && news.answers.is_empty());
        bench.check_settled();
    }
}

#[test]
fn a_stream_can_be_taken_back_though_its_call_was_taken_back_in_vain() {
    let (mut bench, asked) = asked_by(ME);
    let cancelled = [(CAMERA, asked.header.correlation)];
    bench.router.cancel(ME);
    assert_eq!(bench.news().cancels, cancelled);
    bench.tell(CAMERA, &asked, Kind::Opened, b"opened").expect("it may be");
    bench.router.cancel(ME);
    assert_eq!(bench.news().cancels, cancelled);
    bench.router.cancel(ME);
    assert!(bench.news().cancels.is_empty());
    bench.answer(CAMERA, &asked, Err(NotDone::Cancelled));
    assert_eq!(bench.news().streamed, [(ME, StreamNews::End(Err(NotDone::Cancelled)))]);
}

#[test]
fn a_stream_that_cannot_be_passed_on_is_stopped_though_its_call_was_taken_back_in_vain() {
    let mut bench = Bench::ready();
    bench.accept(broadcast(SET_LIGHT));
    let asked = bench.pass(CAMERA).expect("it is sent");
    bench.router.cancel(ME);
    drop(bench.news());
    bench.tell(CAMERA, &asked, Kind::Opened, b"").expect("it may be");
    assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)]);
}

#[test]
fn a_stream_for_a_broadcast_or_a_start_up_command_is_a_failure() {
    let is_failure = |why: &NotDone| matches!(why, NotDone::Failed(why) if why.text.contains("stream"));
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE).by(Caller::Startup(CAMERA)));
    bench.accept(broadcast(SET_LIGHT));
    let first = bench.pass(CAMERA).expect("it is sent");
    let second = bench.pass(CAMERA).expect("it is sent");
    (1..SCOPE).for_each(|index| bench.die(index));
    for asked in [&first, &second] {
        bench.take(CAMERA);
        bench.tell(CAMERA, asked, Kind::Opened, b"").expect("it may be");
        chunk(&mut bench, asked, 1).expect("it ended meanwhile");
    }
    let news = bench.news();
    let [(Caller::Startup(CAMERA), Ending::NotDone(why))] = &news.endings()[..] else { panic!("no failure") };
    assert!(is_failure(why), "{why:?}");
    let Some((ME, Answer::Many(outcomes))) = news.answers.last() else { panic!("no report") };
    assert!(outcomes[0].outcome.as_ref().is_err_and(is_failure), "{outcomes:?}");
    let stopped = [&first, &second].map(|asked| (CAMERA, asked.header.correlation));
    assert_eq!(news.cancels, stopped);
    bench.check_settled();
}

#[test]
fn a_stream_answers_no_call_of_another_or_of_another_life() {
    let (mut bench, asked) = asked_by(ME);
    let mut of_another_life = asked.clone();
    of_another_life.header.generation = Generation(2);
    for kind in [Kind::Opened, Kind::Chunk] {
        bench.tell(STAGE_X, &asked, kind, b"").expect("it is ignored");
        bench.tell(CAMERA, &of_another_life, kind, b"").expect("it is ignored");
    }
    bench.accept(request(EXPOSE).by(Caller::Local(2)));
    let mut not_sent_yet = asked.clone();
    not_sent_yet.header.correlation += 1;
    bench.tell(CAMERA, &not_sent_yet, Kind::Opened, b"").expect("it is ignored");
    let news = bench.news();
    assert!(news.opened.is_empty() && news.streamed.is_empty() && news.cancels.is_empty());
    bench.tell(CAMERA, &asked, Kind::Opened, b"").expect("it may be");
    bench.tell(CAMERA, &asked, Kind::Opened, b"again").expect("it is ignored");
    assert_eq!(bench.news().opened.len(), 1);
}

#[test]
fn what_does_not_fit_an_envelope_fails_its_stream_alone() {
    let too_large = |bench: &mut Bench, asked: &Sent, kind| {
        bench.tell(CAMERA, asked, kind, &vec![7; MAX_PAYLOAD_BYTES + 1]).expect("it is no crime");
        assert_eq!(bench.news().cancels, [(CAMERA, asked.header.correlation)]);
        let told = bench.pass_all(STAGE_X).pop().expect("an answer");
        assert!(matches!(told.not_done(), NotDone::Failed(why) if why.text.contains("exceeds")));
        bench.check_settled();
    };
    let (mut bench, asked) = asked_by(STAGE);
    too_large(&mut bench, &asked, Kind::Opened);
    let (mut bench, asked) = open_for(STAGE);
    too_large(&mut bench, &asked, Kind::Chunk);
}

// --- progress ---

/// What progress a caller has got since this was last asked.
fn steps(bench: &mut Bench) -> Vec<f64> {
    bench.news().progress.iter().map(|(_, progress)| progress.done).collect()
}

fn come_so_far(bench: &mut Bench, asked: &Sent, done: f64) {
    bench.tell(CAMERA, asked, Kind::Progress, &progress(done, 10.0)).expect("it can be read");
}

#[test]
fn a_caller_here_hears_of_every_step() {
    let (mut bench, asked) = asked_by(ME);
    [1.0, 2.0, 3.0].iter().for_each(|done| come_so_far(&mut bench, &asked, *done));
    assert_eq!(steps(&mut bench), [1.0, 2.0, 3.0]);
}

#[test]
fn a_manager_hears_of_the_newest_step_of_each_call() {
    let (mut bench, asked) = asked_by(STAGE);
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 6));
    let second = bench.pass(CAMERA).expect("it is sent");
    [1.0, 2.0].iter().for_each(|done| come_so_far(&mut bench, &asked, *done));
    come_so_far(&mut bench, &second, 8.0);
    come_so_far(&mut bench, &asked, 3.0);
    let got = |bench: &mut Bench| -> Vec<_> {
        let got = bench.pass_all(STAGE_X).into_iter();
        got.map(|sent| (sent.header.kind, sent.header.correlation, sent.payload)).collect()
    };
    let step = |call, done| (Kind::Progress, call, progress(done, 10.0));
    assert_eq!(got(&mut bench), [step(5, 3.0), step(6, 8.0)]);
    come_so_far(&mut bench, &asked, 4.0);
    bench.answer(CAMERA, &asked, Ok(b"done"));
    assert_eq!(got(&mut bench), [step(5, 4.0), (Kind::Done, 5, b"done".to_vec())]);
}

#[test]
fn nobody_hears_of_a_step_after_the_end() {
    let ends: [fn(&mut Bench, &Sent); 5] = [
        |bench, asked| bench.answer(CAMERA, asked, Ok(b"done")),
        |bench, _| bench.later(SECOND),
        |bench, _| bench.die(CAMERA),
        |bench, _| bench.router.abandon(ME),
        |bench, asked| bench.tell(CAMERA, asked, Kind::Opened, b"").expect("it may be"),
    ];
    for end in ends {
        let (mut bench, asked) = asked_by(ME);
        end(&mut bench, &asked);
        come_so_far(&mut bench, &asked, 5.0);
        assert!(steps(&mut bench).is_empty());
    }
    let (mut bench, asked) = asked_by(STAGE);
    bench.die(STAGE_X);
    come_so_far(&mut bench, &asked, 5.0);
    assert!(bench.pass(STAGE_X).is_none());
}

#[test]
fn only_whoever_is_at_a_call_tells_of_its_progress() {
    let (mut bench, asked) = asked_by(ME);
    bench.tell(STAGE_X, &asked, Kind::Progress, &progress(1.0, 10.0)).expect("it can be read");
    let mut of_another_life = asked.clone();
    of_another_life.header.generation = Generation(2);
    come_so_far(&mut bench, &of_another_life, 1.0);
    assert!(steps(&mut bench).is_empty());
    bench.accept(broadcast(SET_LIGHT));
    let part = bench.pass(CAMERA).expect("it is sent");
    come_so_far(&mut bench, &part, 1.0);
    assert!(steps(&mut bench).is_empty(), "of a broadcast nobody says how far it is");
}

#[test]
fn progress_that_cannot_be_read_is_an_error() {
    let (mut bench, asked) = asked_by(ME);
    assert!(bench.tell(CAMERA, &asked, Kind::Progress, &[1]).is_err());
    assert!(bench.tell(STAGE_Y, &asked, Kind::Progress, &[]).is_err());
    assert_eq!(bench.router.in_flight().0, 1);
}

#[test]
fn a_note_that_is_too_long_is_cut() {
    let note = "ä".repeat(MAX_ENVELOPE_BYTES);
    let long = labrig::wire::Progress { done: 1.0, total: 2.0, note };
    let payload = labrig::wire::codec::to_postcard(&long).expect("progress can be written");
    let (mut bench, asked) = asked_by(STAGE);
    bench.tell(CAMERA, &asked, Kind::Progress, &payload).expect("it is no crime");
    let told = bench.pass(STAGE_X).expect("it is told");
    assert!(told.payload.len() < MAX_PAYLOAD_BYTES, "{} bytes", told.payload.len());
}
