//! What travels beside payloads: passed on with them, bounded, and let go of with them.

use std::io::{PipeReader, Read};

use labrig::coordinator::router::Moment;
use labrig::remote::Answer;
use labrig::wire::{Attached, Buffer, Ending, Generation, HandleId, Header, Kind, NotDone, Parcel, Refusal};

use super::bench::*;

/// A buffer, and the end of a pipe that tells when nobody has it any more.
fn buffer() -> (PipeReader, Buffer) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (reader, Buffer::new(writer.into()))
}

/// It would wait for ever if somebody still had the buffer.
fn check_let_go(mut reader: PipeReader) {
    assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
}

fn handle() -> HandleId {
    HandleId { owner: 1, generation: Generation(1), key: 7 }
}

impl Sending {
    fn beside(mut self, buffers: Vec<Buffer>) -> Self {
        self.header.attached = Attached { handles: vec![handle().into()], buffers, key: None }.boxed();
        self
    }
}

#[test]
fn what_travels_beside_a_command_and_its_reply_reaches_whoever_they_reach() {
    let mut bench = Bench::ready();
    let (reader, there) = buffer();
    bench.accept(request(EXPOSE).by_manager(STAGE_X, 5).beside(vec![there.clone()]));
    let asked = bench.pass(CAMERA).expect("it is sent");
    let attached = Attached { handles: vec![handle().into()], buffers: vec![there], key: None }.boxed();
    assert_eq!(asked.header.attached, attached);
    bench.take(CAMERA);
    let answer = Header { attached, correlation: asked.header.correlation, ..Header::new(Kind::Done) };
    let answer = Header { generation: asked.header.generation, ..answer };
    bench.router.answered(CAMERA, &answer, b"reply").expect("it can be read");
    let heard = bench.pass(STAGE_X).expect("it is answered");
    assert_eq!((heard.header.kind, &heard.header.attached), (Kind::Done, &answer.attached));
    drop((asked, answer, heard));
    bench.check_settled();
    check_let_go(reader);
}

#[test]
fn every_part_of_a_broadcast_has_what_travels_beside_it_and_the_report_all_that_came_back() {
    let mut bench = Bench::ready();
    let (reader, there) = buffer();
    bench.accept(broadcast(SET_LIGHT).by_manager(CAMERA, 5).beside(vec![there]));
    for station in [CAMERA, STAGE_X, STAGE_Y] {
        let asked = bench.pass(station).expect("it hears it");
        assert_eq!(asked.header.buffers().len(), 1);
        bench.take(station);
        let answer = Header { correlation: asked.header.correlation, ..Header::new(Kind::Done) };
        let (generation, attached) = (asked.header.generation, asked.header.attached);
        bench.router.answered(station, &Header { generation, attached, ..answer }, b"r").expect("a reply");
    }
    let report = bench.pass(CAMERA).expect("the report");
    assert_eq!((report.header.kind, report.header.buffers().len()), (Kind::Report, 1), "it is the same one");
    drop(report);
    check_let_go(reader);
}

#[test]
fn so_many_buffers_wait_for_a_station_and_no_more() {
    let mut bench = Bench::ready();
    let (_reader, there) = buffer();
    let many = |count| vec![there.clone(); count];
    bench.accept(send(EXPOSE).beside(many(200)));
    let refused = bench.offer(send(EXPOSE).beside(many(57)));
    assert!(matches!(refused, Err(Refusal::Busy { depth: 256, .. })), "{refused:?}");
    bench.accept(send(EXPOSE).beside(many(56)));
    bench.accept(send(EXPOSE));
    while bench.router.next_for(CAMERA, &Moment::at(bench.now)).is_some() {
        bench.router.sent(CAMERA, &bench.progress);
    }
    (0..3).for_each(|_| bench.take(CAMERA));
    bench.accept(send(EXPOSE).beside(many(256)));
}

#[test]
fn what_is_lost_lets_go_of_what_travelled_beside_it() {
    let mut bench = Bench::ready();
    let (first, queued) = buffer();
    let (second, refused) = buffer();
    let (third, late) = buffer();
    bench.accept(request(EXPOSE).beside(vec![queued]));
    assert!(bench.offer(request(GHOST).beside(vec![refused])).is_err());
    bench.die(CAMERA);
    assert!(matches!(&bench.endings()[..], [(_, Ending::NotDone(NotDone::Lost))]));
    check_let_go(first);
    check_let_go(second);
    let attached = Attached { buffers: vec![late], ..Attached::default() }.boxed();
    let answer = Header { attached, correlation: 99, ..Header::new(Kind::Done) };
    bench.router.answered(STAGE_X, &answer, b"too late").expect("it can be read");
    drop(answer);
    check_let_go(third);
}

#[test]
fn a_caller_of_this_process_is_given_the_buffer_itself() {
    let mut bench = Bench::ready();
    bench.accept(request(EXPOSE));
    let asked = bench.pass(CAMERA).expect("it is sent");
    bench.take(CAMERA);
    let (_reader, there) = buffer();
    let attached = Attached { buffers: vec![there], ..Attached::default() }.boxed();
    let answer = Header { attached, correlation: asked.header.correlation, ..Header::new(Kind::Done) };
    let answer = Header { generation: asked.header.generation, ..answer };
    bench.router.answered(CAMERA, &answer, b"r").expect("it can be read");
    let expected = Parcel { bytes: b"r".to_vec(), attached: answer.attached };
    assert!(
        matches!(&bench.answers()[..], [(_, Answer::One { ending, .. })] if *ending == Ending::Done(expected))
    );
}
