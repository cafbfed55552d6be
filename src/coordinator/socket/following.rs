//! `follow-rows`: the rows of a ring as they come, for those who ask by the rig's socket.
//!
//! A thread of its own sleeps where the ring's writer wakes it, and hands rows over only when the client has taken those
//! before: what waits for a slow client waits in the ring, and what has to give way there is counted and told.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Value, json};

use super::mailbox::Mailbox;
use super::rows::{described, problem, row};
use super::server::Server;
use crate::remote::{RowReader, Scope, SharedError, Stopper};
use crate::wire::Problem;

/// How many numbers are told at once, at most: few enough for one message.
const MOST_NUMBERS: usize = 20_000;
/// How many rows, at most.
const MOST_ROWS: usize = 1_000;

/// What a client follows. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Following {
    /// The id of the request.
    id: u64,
    stopper: Stopper,
    /// Asks for more rows; dropped, it ends the thread.
    more: Option<Sender<()>>,
    /// Whether rows have been told that the client has not taken yet.
    has_told: bool,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    /// The client has taken everything.
    pub(super) fn go_on(&mut self) {
        if self.has_told
            && let Some(more) = &self.more
        {
            // A thread that has ended wants nothing.
            self.has_told = more.try_send(()).is_err();
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.more = None;
        self.stopper.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("a thread that follows rows has panicked");
        }
    }
}

impl Server {
    /// A client wants to be told the rows of a ring, from its latest ones on.
    pub(super) fn follow_rows(&mut self, client: u64, id: u64, name: &str, latest: u64) {
        let Some(there) = self.clients.get(&client) else { return };
        if there.following.is_some() {
            let problem = Problem::new("bad-request", "this connection follows rows already");
            return self.answer(client, id, Err(problem.hint("open another one")));
        }
        let begun = self.begin_following(client, id, name, latest);
        match begun {
            Err(problem) => self.answer(client, id, Err(problem)),
            Ok((columns, following)) => {
                self.answer(client, id, Ok(json!({ "name": name, "columns": columns })));
                if let Some(there) = self.clients.get_mut(&client) {
                    there.following = Some(following);
                }
            }
        }
    }

    fn begin_following(
        &self,
        client: u64,
        id: u64,
        name: &str,
        latest: u64,
    ) -> Result<(Value, Following), Problem> {
        let reader = Scope::new(Arc::clone(&self.core) as _).rows(name).map_err(|error| problem(&error))?;
        let reader = reader.with_the_latest(latest);
        let columns = reader.columns().iter().map(described).collect();
        let (stopper, mailbox) = (reader.stopper(), Arc::clone(&self.mailbox));
        let (more, is_taken) = bounded(1);
        let thread = thread::Builder::new().name("labrig-follower".to_owned());
        let thread = thread.spawn(move || follow(reader, &is_taken, &mailbox, client));
        let refused = |error| Problem::new("not-readable", format!("a thread cannot be had: {error}"));
        let thread = Some(thread.map_err(refused)?);
        Ok((columns, Following { id, stopper, more: Some(more), has_told: false, thread }))
    }

    /// Tells the rows that a follower has read.
    pub(super) fn rows_came(&mut self, client: u64, told: &Value) {
        let Some(there) = self.clients.get_mut(&client) else { return };
        let Some(id) = there.following.as_ref().map(|following| following.id) else { return };
        // There is never more than this one on its way, so there is always room for it.
        there.tell_anyway(id, told);
        there.following.iter_mut().for_each(|following| following.has_told = true);
        self.unflushed.insert(client);
    }
}

/// Reads and hands over, until it is stopped.
fn follow(mut reader: RowReader, is_taken: &Receiver<()>, mailbox: &Mailbox, client: u64) {
    let mut told_lost = 0;
    loop {
        let told = match next_rows(&mut reader, &mut told_lost) {
            Ok(told) => told,
            Err(SharedError::Cancelled { .. }) => return,
            Err(error) => {
                let why = problem(&error);
                return mailbox.rows(client, json!({ "event": "rows-ended", "why": why }));
            }
        };
        mailbox.rows(client, told);
        if is_taken.recv().is_err() {
            return;
        }
    }
}

/// The next rows, whichever life of the manager appends them; sleeps until there are any.
fn next_rows(reader: &mut RowReader, told_lost: &mut u64) -> Result<Value, SharedError> {
    while let Err(error) = reader.wait(Duration::MAX) {
        match error {
            SharedError::Ended { .. } => {
                reader.wait_for_next_life(Duration::MAX)?;
            }
            other => return Err(other),
        }
    }
    let most = (MOST_NUMBERS / (reader.columns().len() + 2)).clamp(1, MOST_ROWS);
    let batch = reader.read_at_most(most as u64)?;
    let (rows, generation) = (batch.iter().map(row).collect::<Value>(), batch.generation());
    let lost = reader.lost() - std::mem::replace(told_lost, reader.lost());
    Ok(json!({ "event": "rows", "rows": rows, "generation": generation, "lost": lost }))
}
