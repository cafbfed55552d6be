//! Checkpoints: the state of a procedure after a step, with what shows whether it can be used.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::records::Wait;
use super::{Store, StoreError, from_sql, now_ms, to_sql};
use crate::procedure::commands::CheckpointRecord;

/// How many checkpoints without a tag are kept of a procedure.
const KEPT: u64 = 4;

/// A checkpoint as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::procedure) struct Checkpoint {
    pub(in crate::procedure) step: u64,
    pub(in crate::procedure) tag: Option<String>,
    pub(in crate::procedure) state: Vec<u8>,
    /// What the state's type was made of.
    pub(in crate::procedure) fingerprint: u64,
    checksum: u64,
    pub(in crate::procedure) wait: Option<Wait>,
    at_ms: u64,
}

/// One of a procedure's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::procedure) enum Which<'a> {
    Last,
    /// The newest of that tag.
    Tag(&'a str),
    Step(u64),
}

impl<'a> Which<'a> {
    /// The one that people mean by a text: a step's number, a tag, or the last when it is empty.
    pub(in crate::procedure) fn read(text: &'a str) -> Self {
        match text.parse() {
            _ if text.is_empty() => Self::Last,
            Ok(step) => Self::Step(step),
            Err(_) => Self::Tag(text),
        }
    }
}

impl Checkpoint {
    /// Why nothing can go on from it in a program whose state has that fingerprint.
    pub(in crate::procedure) fn fault(&self, fingerprint: Option<u64>) -> Option<String> {
        if checksum(&self.state, self.step, self.fingerprint) != self.checksum {
            return Some("it is damaged: its checksum does not fit".to_owned());
        }
        let theirs = self.fingerprint;
        let ours = fingerprint.filter(|ours| *ours != theirs)?;
        Some(format!("its state is of another version ({theirs:016x}, this program has {ours:016x})"))
    }

    /// What people are told of it.
    pub(in crate::procedure) fn record(&self, fingerprint: Option<u64>) -> CheckpointRecord {
        CheckpointRecord {
            step: self.step,
            tag: self.tag.clone(),
            bytes: self.state.len() as u64,
            at_ms: self.at_ms,
            fault: self.fault(fingerprint),
        }
    }
}

/// FNV-1a over everything that goes on from a checkpoint.
fn checksum(state: &[u8], step: u64, fingerprint: u64) -> u64 {
    let (step, fingerprint) = (step.to_le_bytes(), fingerprint.to_le_bytes());
    let all = step.iter().chain(&fingerprint).chain(state);
    all.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Keeps a checkpoint, and removes those without a tag that are old.
pub(super) fn put(
    transaction: &Transaction<'_>,
    number: i64,
    step: u64,
    (state, fingerprint, tag): (&[u8], u64, Option<&str>),
    wait: Option<&str>,
) -> Result<(), StoreError> {
    let sum = checksum(state, step, fingerprint);
    transaction
        .prepare_cached(
            "INSERT INTO checkpoints (procedure, step, tag, state, fingerprint, checksum, wait, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            number,
            to_sql(step),
            tag,
            state,
            to_sql(fingerprint),
            to_sql(sum),
            wait,
            to_sql(now_ms())
        ])?;
    let oldest = step.saturating_sub(KEPT - 1);
    transaction
        .prepare_cached("DELETE FROM checkpoints WHERE procedure = ?1 AND tag IS NULL AND step < ?2")?
        .execute(params![number, to_sql(oldest)])?;
    Ok(())
}

const COLUMNS: &str = "step, tag, state, fingerprint, checksum, wait, at_ms";

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint {
        step: from_sql(row.get(0)?),
        tag: row.get(1)?,
        state: row.get(2)?,
        fingerprint: from_sql(row.get(3)?),
        checksum: from_sql(row.get(4)?),
        wait: super::records::read_wait(row, 5)?,
        at_ms: from_sql(row.get(6)?),
    })
}

impl Store {
    /// A checkpoint of a procedure, if there is such a one.
    pub(in crate::procedure) fn checkpoint(
        &self,
        number: i64,
        which: Which<'_>,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let (filter, tag, step) = match which {
            Which::Last => ("?2 IS NULL AND ?3 IS NULL", None, None),
            Which::Tag(tag) => ("tag = ?2 AND ?3 IS NULL", Some(tag), None),
            Which::Step(step) => ("?2 IS NULL AND step = ?3", None, Some(to_sql(step))),
        };
        let text = format!(
            "SELECT {COLUMNS} FROM checkpoints WHERE procedure = ?1 AND {filter} ORDER BY step DESC LIMIT 1"
        );
        self.read(|connection| {
            let mut found = connection.prepare_cached(&text)?;
            Ok(found.query_row(params![number, tag, step], checkpoint).optional()?)
        })
    }

    /// All checkpoints of a procedure, oldest first.
    pub(in crate::procedure) fn checkpoints(&self, number: i64) -> Result<Vec<Checkpoint>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM checkpoints WHERE procedure = ?1 ORDER BY step");
        self.read(|connection| {
            let mut all = connection.prepare_cached(&text)?;
            let rows = all.query_map([number], checkpoint)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Removes the checkpoints with a tag, but for the last of all, from which the procedure would go on: that loses its
    /// tag only. Says whether there were any.
    pub(in crate::procedure) fn delete_checkpoints(
        &self,
        number: i64,
        tag: &str,
    ) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let last = "step = (SELECT max(step) FROM checkpoints WHERE procedure = ?1)";
            let kept = transaction.execute(
                &format!("UPDATE checkpoints SET tag = NULL WHERE procedure = ?1 AND tag = ?2 AND {last}"),
                params![number, tag],
            )?;
            let gone = transaction
                .execute("DELETE FROM checkpoints WHERE procedure = ?1 AND tag = ?2", params![number, tag])?;
            Ok(kept + gone > 0)
        })
    }
}
