//! A line whose other side writes anything into their lanes: what is received is data or an error.

use super::*;
use rustix::io::pwrite;

/// Numbers that look random, and are the same in every run.
fn roll(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Writes something somewhere, most often where the lanes say how far they are.
fn damage(lanes: &LanePair, dice: &mut u64) {
    const ABOUT_BYTES: u64 = 128;
    const LANE_BYTES: u64 = 256 + 8 * 4096;
    let lane = ABOUT_BYTES + roll(dice) % 2 * LANE_BYTES;
    let offset = lane + roll(dice) % if roll(dice).is_multiple_of(2) { 512 } else { LANE_BYTES };
    let word = match roll(dice) % 3 {
        0 => roll(dice),
        1 => roll(dice) % 4,
        _ => roll(dice) % 4096,
    };
    pwrite(lanes.fd(), &word.to_le_bytes(), offset & !3).expect("the memory is not sealed against writers");
}

/// One step of this side, whatever it is; says whether the line is still believed.
fn step(line: &Line, dice: &mut u64) -> bool {
    let mut buffer = vec![0; 8192];
    let received = match roll(dice) % 6 {
        0 => line.receive(&mut buffer),
        1 => line.receive_known(&mut buffer),
        2 => line.receive_record(&mut buffer),
        3 => {
            let length = roll(dice) % 3000;
            return !matches!(line.send(&buffer[..length as usize]), Err(error) if error != PipeError::NotReady);
        }
        4 => {
            line.fall_asleep();
            return true;
        }
        _ => {
            line.wake_up();
            return true;
        }
    };
    match received {
        Ok(packet) => {
            assert!(packet.length <= buffer.len());
            true
        }
        Err(PipeError::NotReady) => true,
        Err(PipeError::Lane(_)) => false,
        Err(error) => panic!("the pipe is whole: {error}"),
    }
}

#[test]
fn whatever_the_other_side_writes_into_the_lanes_a_line_gives_data_or_ends() {
    let times = std::env::var("LABRIG_STORM").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    for seed in 1..=300 * times {
        let lanes = LanePair::create().expect("memory");
        let (ours, theirs) = wide_over(&lanes);
        let mut dice = seed;
        for _ in 0..300 {
            if roll(&mut dice).is_multiple_of(4) {
                damage(&lanes, &mut dice);
            }
            let line = if roll(&mut dice).is_multiple_of(2) { &ours } else { &theirs };
            if !step(line, &mut dice) {
                break;
            }
        }
    }
}
