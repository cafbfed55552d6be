//! Chunks and steps that are lost, doubled, crossed or late.

use super::super::history::{History, Seen, Token, chunk_of};
use super::{change_first, check_found, is_local, position, repeat};

/// Whether the caller was told how that call ended, and listened.
fn is_heard_out(history: &History, token: Token) -> bool {
    let is_end = |seen: &Seen| matches!(seen, Seen::Ended { token: of, .. } if *of == token);
    let gives_up = |seen: &Seen| matches!(seen, Seen::Abandoned { token: of } if *of == token);
    history.seen.iter().any(is_end) && !history.seen.iter().any(gives_up)
}

/// Takes the first or the last news out, by their call, of a call that its caller has heard out.
fn remove_news(history: &mut History, is_first: bool, news: impl Fn(&Seen) -> Option<Token>) -> bool {
    let is_one = |seen: &Seen| news(seen).is_some_and(|token| is_heard_out(history, token));
    let mut seen = history.seen.iter();
    let at = if is_first { seen.position(is_one) } else { seen.rposition(is_one) };
    at.map(|at| history.seen.remove(at)).is_some()
}

fn chunk_heard(seen: &Seen) -> Option<Token> {
    match seen {
        Seen::ChunkHeard { token, .. } => Some(*token),
        _ => None,
    }
}

fn step_heard(seen: &Seen) -> Option<Token> {
    match seen {
        Seen::StepHeard { token, .. } => Some(*token),
        _ => None,
    }
}

#[test]
fn a_lost_chunk_is_found() {
    check_found("a lost chunk", "chunk", |history| remove_news(history, true, chunk_heard));
    check_found("a lost last chunk", "ended after", |history| remove_news(history, false, chunk_heard));
}

#[test]
fn a_chunk_that_came_twice_is_found() {
    check_found("a chunk that came twice", "came as", |history| {
        repeat(history, |seen| matches!(seen, Seen::ChunkHeard { .. }))
    });
}

#[test]
fn chunks_that_are_crossed_too_many_or_too_late_are_found() {
    check_found("a chunk of another stream", "came as", |history| {
        change_first(history, |seen| match seen {
            Seen::ChunkHeard { token, chunk } => {
                *chunk = chunk_of(*token + 1, 0);
                true
            }
            _ => false,
        })
    });
    check_found("a chunk after the end", "came as", |history| {
        let heard = |seen: &Seen| match seen {
            Seen::ChunkHeard { token, .. } if is_local(history, *token) => Some(*token),
            _ => None,
        };
        let Some(token) = history.seen.iter().find_map(heard) else { return false };
        let number = history
            .seen
            .iter()
            .filter(|seen| matches!(seen, Seen::ChunkHeard { token: of, .. } if *of == token));
        let chunk = chunk_of(token, number.count() as u32);
        history.seen.push(Seen::ChunkHeard { token, chunk });
        true
    });
    check_found("more chunks than were asked for", "on the way", |history| {
        let is_heard = |token: Token| {
            history.seen.iter().any(|seen| matches!(seen, Seen::ChunkHeard { token: of, .. } if *of == token))
        };
        let at = position(
            history,
            |seen| matches!(seen, Seen::ChunkSent { number: 0, token } if is_heard(*token)),
        );
        let Some(Seen::ChunkSent { token, .. }) = at.map(|at| history.seen[at].clone()) else { return false };
        let flood = (1..40).map(|number| Seen::ChunkSent { token, number });
        let after = at.unwrap_or_default() + 1;
        history.seen.splice(after..after, flood);
        true
    });
}

#[test]
fn progress_that_is_crossed_lost_or_too_late_is_found() {
    let is_step = |seen: &Seen| matches!(seen, Seen::StepHeard { .. });
    check_found("a step that came twice", "came to the caller", |history| repeat(history, is_step));
    check_found("a step of another call", "came to the caller", |history| {
        change_first(history, |seen| match seen {
            Seen::StepHeard { of, .. } => {
                *of += 1;
                true
            }
            _ => false,
        })
    });
    check_found("a step after the end", "came to the caller", |history| {
        let at = position(history, is_step);
        at.map(|at| history.seen.push(history.seen[at].clone())).is_some()
    });
    check_found("a lost step", "was told", |history| remove_news(history, false, step_heard));
}
