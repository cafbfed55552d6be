//! Streams whose producers begin new lives.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::manager::link::Link;
use crate::registry::HandlerEnd;
use crate::registry::detached::detached_context;
use crate::registry::{Emergency, Incoming, SettingsDescription};
use crate::shm::{Capture, CursorMemory, Doorbell, Frame, FrameFormat, PixelType, Producer, RingMemory};
use crate::transport::Pipe;
use crate::wire::{CommandSpec, Failure, Parcel, SafeReason};

const FORMAT: FrameFormat = FrameFormat { width: 2, height: 1, stride_bytes: 2, pixel: PixelType::Gray8 };

/// One life of a producer, and what the coordinator holds of it.
struct Life {
    ring: RingMemory,
    space: Doorbell,
    producer: Producer,
}

/// Sees frames by their first pixel.
#[derive(Default)]
struct Eye {
    seen: Vec<u8>,
}

fn owned(descriptor: impl AsFd) -> OwnedFd {
    descriptor.as_fd().try_clone_to_owned().expect("a descriptor can be doubled")
}

fn bell() -> Doorbell {
    Doorbell::create().expect("a bell")
}

impl Life {
    fn begin() -> Self {
        let (ring, space) = (RingMemory::create(8, 64).expect("a ring"), bell());
        let producer =
            Producer::map(owned(ring.fd()), space.try_clone().expect("a bell")).expect("it can be filled");
        ring.seal().expect("nobody else writes to it");
        Self { ring, space, producer }
    }

    /// A reader that its producer has taken on.
    fn reader(&self, mode: ReadMode) -> Reader {
        let (cursor, data) = (CursorMemory::create(&self.ring, mode).expect("a cursor"), bell());
        let theirs = data.try_clone().expect("a bell");
        self.producer.readers().add(owned(cursor.fd()), theirs).expect("there is room");
        let space = self.space.try_clone().expect("a bell");
        Reader::map(owned(self.ring.fd()), owned(cursor.fd()), data, space).expect("it can be read")
    }

    fn publish(&mut self, pixels: std::ops::RangeInclusive<u8>) {
        for pixel in pixels {
            let mut slot = self.producer.try_loan(FORMAT).expect("a free slot");
            slot.pixels_mut().fill(pixel);
            slot.publish(Capture::default());
        }
    }

    /// The producer's process has died; the coordinator says so.
    fn die(self) {
        self.ring.mark_producer_lost([]);
        std::mem::forget(self.producer);
    }
}

impl Instance for Eye {
    fn commands(&self) -> Vec<&'static CommandSpec> {
        Vec::new()
    }

    fn handle(&mut self, _: usize, _: Incoming<'_>, _: &mut Context) -> HandlerEnd {
        Ok(Parcel::default())
    }

    fn timers(&self) -> Vec<(&'static str, Duration)> {
        Vec::new()
    }

    fn tick(&mut self, _: usize, _: &mut Context) -> Result<(), Failure> {
        Ok(())
    }

    fn inputs(&self) -> Vec<(&'static str, &'static str)> {
        vec![("look", "video")]
    }

    fn look(&mut self, _: usize, frame: &Frame<'_>, _: &mut Context) -> Result<(), Failure> {
        self.seen.push(frame.bytes()[0]);
        Ok(())
    }

    fn self_checks(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn self_check(&mut self, _: usize, _: &mut Context) -> Result<(), Failure> {
        Ok(())
    }

    fn settings(&self) -> Option<SettingsDescription> {
        None
    }

    fn apply_settings(&mut self, _: &[u8], _: &mut Context) -> Result<(), Failure> {
        Ok(())
    }

    fn enter_safe_state(&mut self, _: SafeReason) {}
}

/// Looks as the worker does, until there is nothing more to be seen and it may sleep.
fn look_at_all(inputs: &mut Inputs, eye: &mut Eye) {
    let (pipe, _theirs) = Pipe::pair().expect("a pair");
    let mut steps = Steps::new(&Arc::new(Link::new(pipe, [bell(), bell()])));
    let mut context = detached_context("tracker").of_manager(Arc::default(), Arc::new(Emergency::default()));
    while inputs.look(eye, &mut context, &mut steps) {}
    assert!(inputs.prepare_to_wait(), "there is something to be seen");
    inputs.finish_wait();
}

fn attach(inputs: &mut Inputs, eye: &Eye, reader: Reader) {
    inputs.attach("video".to_owned(), vec!["video".to_owned()], reader);
    inputs.bind(eye);
}

/// Three lives of a producer; what the reader has not seen of the first two when the third begins counts or not,
/// by its mode.
fn check_lives(mode: ReadMode, expected: &[u8]) {
    let (mut inputs, mut eye) = (Inputs::default(), Eye::default());
    let mut first = Life::begin();
    attach(&mut inputs, &eye, first.reader(mode));
    first.publish(1..=1);
    look_at_all(&mut inputs, &mut eye);
    first.publish(2..=3);
    first.die();
    let mut second = Life::begin();
    attach(&mut inputs, &eye, second.reader(mode));
    second.publish(11..=12);
    second.die();
    let mut third = Life::begin();
    attach(&mut inputs, &eye, third.reader(mode));
    assert!(!inputs.is_drained() || mode == ReadMode::Latest);
    third.publish(21..=21);
    look_at_all(&mut inputs, &mut eye);
    third.publish(22..=22);
    look_at_all(&mut inputs, &mut eye);
    assert_eq!(eye.seen, expected);
    third.producer.end();
    assert!(inputs.is_drained());
    assert_eq!(inputs.inputs.len(), 1);
}

#[test]
fn a_lossless_reader_sees_what_each_life_of_its_producer_has_left() {
    check_lives(ReadMode::Lossless, &[1, 2, 3, 11, 12, 21, 22]);
}

#[test]
fn a_reader_of_the_newest_frame_moves_to_the_newest_life_at_once() {
    check_lives(ReadMode::Latest, &[1, 21, 22]);
}

#[test]
fn a_lossless_reader_that_has_seen_all_moves_even_if_nobody_says_that_the_producer_died() {
    let (mut inputs, mut eye) = (Inputs::default(), Eye::default());
    let mut first = Life::begin();
    attach(&mut inputs, &eye, first.reader(ReadMode::Lossless));
    first.publish(1..=1);
    look_at_all(&mut inputs, &mut eye);
    let mut second = Life::begin();
    attach(&mut inputs, &eye, second.reader(ReadMode::Lossless));
    second.publish(2..=2);
    look_at_all(&mut inputs, &mut eye);
    assert_eq!(eye.seen, [1, 2]);
}

#[test]
fn a_reader_that_was_started_again_is_taken_on_while_frames_flow() {
    let mut life = Life::begin();
    let before = life.reader(ReadMode::Lossless);
    life.publish(1..=2);
    // Its process died with two frames unseen: the coordinator has marked it gone.
    drop(before);
    let (mut inputs, mut eye) = (Inputs::default(), Eye::default());
    attach(&mut inputs, &eye, life.reader(ReadMode::Lossless));
    life.publish(3..=10);
    assert_eq!(life.producer.readers().count(), 1);
    look_at_all(&mut inputs, &mut eye);
    assert_eq!(eye.seen, [3, 4, 5, 6, 7, 8, 9, 10]);
}
