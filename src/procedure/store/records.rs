//! The records of procedures: made, moved from state to state, carried on from step to step.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row as SqlRow, Transaction, params};
use serde::{Deserialize, Serialize};

use super::changes;
use super::checkpoints::{self, Checkpoint};
use super::{Store, StoreError, from_sql, now_ms, to_sql};
use crate::procedure::commands::ProcedureId;
use crate::procedure::state::{Move, ProcedureState};
use crate::procedure::step::{ChildLaunch, Condition};

/// What a procedure waits for before its next step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::procedure) enum Wait {
    /// A moment, in ms since 1970.
    Until(u64),
    /// A signal, until that moment at the latest.
    Signal(Condition, u64),
    /// The end of a child, by its number.
    Child(i64),
}

/// A procedure that is to be recorded.
#[derive(Debug, Clone, Default)]
pub(in crate::procedure) struct NewProcedure {
    pub(in crate::procedure) kind: String,
    pub(in crate::procedure) inputs: String,
    pub(in crate::procedure) is_held: bool,
    pub(in crate::procedure) launched_by: String,
    pub(in crate::procedure) parent: Option<i64>,
    pub(in crate::procedure) deadline_ms: u64,
    pub(in crate::procedure) step_deadline_ms: u64,
    /// The task that it is; no other procedure is the same.
    pub(in crate::procedure) task: Option<String>,
    /// The checkpoint that it begins with, and what that is called.
    pub(in crate::procedure) from: Option<(Checkpoint, String)>,
}

/// A procedure that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::procedure) struct Made {
    pub(in crate::procedure) number: i64,
    pub(in crate::procedure) is_held: bool,
}

/// A record as it is kept.
#[derive(Debug, Clone)]
pub(in crate::procedure) struct Row {
    pub(in crate::procedure) number: i64,
    pub(in crate::procedure) kind: String,
    pub(in crate::procedure) inputs: String,
    pub(in crate::procedure) state: ProcedureState,
    pub(in crate::procedure) text: String,
    pub(in crate::procedure) step: Option<u64>,
    pub(in crate::procedure) wait: Option<Wait>,
    pub(in crate::procedure) output: Option<String>,
    pub(in crate::procedure) launched_by: String,
    pub(in crate::procedure) parent: Option<i64>,
    pub(in crate::procedure) parent_id: Option<ProcedureId>,
    pub(in crate::procedure) origin: Option<String>,
    pub(in crate::procedure) is_held: bool,
    pub(in crate::procedure) is_forced: bool,
    pub(in crate::procedure) lives: u64,
    pub(in crate::procedure) deadline_ms: u64,
    pub(in crate::procedure) step_deadline_ms: u64,
    pub(in crate::procedure) created_ms: u64,
    pub(in crate::procedure) changed_ms: u64,
    /// By which the keys of its commands are told from those of any other, in whichever store.
    pub(in crate::procedure) mark: u64,
}

impl Row {
    pub(in crate::procedure) fn id(&self) -> ProcedureId {
        ProcedureId::new(&self.kind, self.number)
    }
}

/// A step that is done, as it is to be kept.
#[derive(Debug)]
pub(in crate::procedure) struct StepDone<'a> {
    pub(in crate::procedure) step: u64,
    pub(in crate::procedure) state: &'a [u8],
    pub(in crate::procedure) fingerprint: u64,
    pub(in crate::procedure) tag: Option<&'a str>,
    pub(in crate::procedure) text: &'a str,
    pub(in crate::procedure) wait: Option<Wait>,
    pub(in crate::procedure) child: Option<&'a ChildLaunch>,
}

const COLUMNS: &str = "p.number, p.kind, p.inputs, p.state, p.text, p.step, p.wait, p.output, p.launched_by,
    p.parent, q.kind, p.origin, p.is_held, p.is_forced, p.lives, p.deadline_ms, p.step_deadline_ms,
    p.created_ms, p.changed_ms, p.mark FROM procedures p LEFT JOIN procedures q ON q.number = p.parent";

fn unreadable(column: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

pub(super) fn state_named(name: &str) -> rusqlite::Result<ProcedureState> {
    ProcedureState::named(name).ok_or_else(|| unreadable(3, format!("no state is called `{name}`")))
}

pub(super) fn read_wait(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<Wait>> {
    let text: Option<String> = row.get(column)?;
    let read =
        |text: String| serde_json::from_str(&text).map_err(|error| unreadable(column, error.to_string()));
    text.map(read).transpose()
}

fn write_wait(wait: Option<&Wait>) -> Option<String> {
    wait.map(|wait| serde_json::to_string(wait).expect("a wait holds only plain values"))
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let parent: Option<i64> = row.get(9)?;
    let parent_kind: Option<String> = row.get(10)?;
    Ok(Row {
        number: row.get(0)?,
        kind: row.get(1)?,
        inputs: row.get(2)?,
        state: state_named(&row.get::<_, String>(3)?)?,
        text: row.get(4)?,
        step: row.get::<_, Option<i64>>(5)?.map(from_sql),
        wait: read_wait(row, 6)?,
        output: row.get(7)?,
        launched_by: row.get(8)?,
        parent,
        parent_id: parent.zip(parent_kind).map(|(number, kind)| ProcedureId::new(&kind, number)),
        origin: row.get(11)?,
        is_held: row.get(12)?,
        is_forced: row.get(13)?,
        lives: from_sql(row.get(14)?),
        deadline_ms: from_sql(row.get(15)?),
        step_deadline_ms: from_sql(row.get(16)?),
        created_ms: from_sql(row.get(17)?),
        changed_ms: from_sql(row.get(18)?),
        mark: from_sql(row.get(19)?),
    })
}

fn insert(transaction: &Transaction<'_>, new: &NewProcedure) -> Result<i64, StoreError> {
    let (now, wait) = (to_sql(now_ms()), new.from.as_ref().and_then(|(from, _)| from.wait.clone()));
    let step = new.from.as_ref().map(|(from, _)| to_sql(from.step));
    transaction.execute(
        "INSERT INTO procedures (kind, inputs, state, text, step, wait, launched_by, parent, origin, is_held,
             deadline_ms, step_deadline_ms, created_ms, changed_ms, task, mark)
         VALUES (?1, ?2, 'created', '', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, random())",
        params![
            new.kind,
            new.inputs,
            step,
            write_wait(wait.as_ref()),
            new.launched_by,
            new.parent,
            new.from.as_ref().map(|(_, origin)| origin),
            new.is_held,
            to_sql(new.deadline_ms),
            to_sql(new.step_deadline_ms),
            now,
            new.task
        ],
    )?;
    let number = transaction.last_insert_rowid();
    changes::note(transaction, number, (None, ProcedureState::Created), (&new.launched_by, ""))?;
    if let Some((from, _)) = &new.from {
        let (state, tag) = (&from.state, from.tag.as_deref());
        let wait = write_wait(wait.as_ref());
        checkpoints::put(transaction, number, from.step, (state, from.fingerprint, tag), wait.as_deref())?;
    }
    Ok(number)
}

impl Store {
    /// Records a procedure.
    pub(in crate::procedure) fn create(&self, new: &NewProcedure) -> Result<Made, StoreError> {
        let number = self.write(|transaction| insert(transaction, new))?;
        Ok(Made { number, is_held: new.is_held })
    }

    /// A record, if there is one.
    pub(in crate::procedure) fn find(&self, number: i64) -> Result<Option<Row>, StoreError> {
        self.read(|connection| {
            let mut found = connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE p.number = ?1"))?;
            Ok(found.query_row([number], row).optional()?)
        })
    }

    /// The procedure that a task is here, if it was ever taken.
    pub(in crate::procedure) fn of_task(&self, task: &str) -> Result<Option<ProcedureId>, StoreError> {
        self.read(|connection| {
            let mut found =
                connection.prepare_cached("SELECT kind, number FROM procedures WHERE task = ?1")?;
            let id = |row: &SqlRow<'_>| Ok(ProcedureId::new(&row.get::<_, String>(0)?, row.get(1)?));
            Ok(found.query_row([task], id).optional()?)
        })
    }

    /// How many procedures have a turn, or wait for theirs.
    pub(in crate::procedure) fn count_at_work(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let mut count = connection.prepare_cached(
                "SELECT count(*) FROM procedures
                 WHERE state IN ('created', 'running') AND (state = 'running' OR NOT is_held)",
            )?;
            Ok(from_sql(count.query_row([], |row| row.get(0))?))
        })
    }

    /// Records, newest first: all, or those that are not final; of everybody, or the children of one.
    pub(in crate::procedure) fn list(
        &self,
        is_active: bool,
        parent: Option<i64>,
    ) -> Result<Vec<Row>, StoreError> {
        self.read(|connection| {
            let mut all = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} WHERE (?1 IS NULL OR p.parent = ?1)
                 AND (NOT ?2 OR p.state NOT IN ('finished', 'excepted', 'killed')) ORDER BY p.number DESC"
            ))?;
            let rows = all.query_map(params![parent, is_active], row)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Those of these marks whose procedures have ended.
    pub(in crate::procedure) fn ended_among(&self, marks: &[u64]) -> Result<Vec<u64>, StoreError> {
        self.read(|connection| {
            let mut ended = connection.prepare_cached(
                "SELECT 1 FROM procedures WHERE mark = ?1 AND state IN ('finished', 'excepted', 'killed')",
            )?;
            let mut has_ended =
                |mark: &u64| ended.exists([to_sql(*mark)]).map(|is_so| is_so.then_some(*mark));
            Ok(marks.iter().filter_map(|mark| has_ended(mark).transpose()).collect::<Result<_, _>>()?)
        })
    }

    /// This epoch takes a procedure up, and is the only one that may write of it from now on.
    pub(in crate::procedure) fn take_up(&self, number: i64) -> Result<(), StoreError> {
        let taken = "UPDATE procedures SET lease = ?2, lives = lives + 1
                     WHERE number = ?1 AND (lease IS NULL OR lease <= ?2)";
        self.write(|transaction| self.one(number, transaction.execute(taken, [number, self.epoch])?))
    }

    /// Moves a procedure to another state; says which. A number of other processes than this epoch's is refused.
    pub(in crate::procedure) fn change(
        &self,
        number: i64,
        wanted: Move,
        (sender, text): (&str, &str),
    ) -> Result<ProcedureState, StoreError> {
        self.write(|transaction| self.change_within(transaction, number, wanted, (sender, text)))
    }

    fn change_within(
        &self,
        transaction: &Transaction<'_>,
        number: i64,
        wanted: Move,
        (sender, text): (&str, &str),
    ) -> Result<ProcedureState, StoreError> {
        let was: String = transaction
            .prepare_cached("SELECT state FROM procedures WHERE number = ?1")?
            .query_row([number], |row| row.get(0))?;
        let was = state_named(&was)?;
        let became = was.after(wanted).map_err(|illegal| unreadable(3, illegal.to_string()))?;
        let changed = transaction
            .prepare_cached(
                "UPDATE procedures SET state = ?2, text = CASE WHEN ?3 = '' THEN text ELSE ?3 END,
                     is_held = is_held AND ?2 = 'created', changed_ms = ?4
                 WHERE number = ?1 AND (lease IS NULL OR lease <= ?5)",
            )?
            .execute(params![number, became.name(), text, to_sql(now_ms()), self.epoch])?;
        self.one(number, changed)?;
        changes::note(transaction, number, (Some(was), became), (sender, text))?;
        Ok(became)
    }

    /// Keeps what a step has made: its checkpoint, and the child that it has launched, whose number is given. From here on
    /// the step is acknowledged.
    pub(in crate::procedure) fn acknowledge(
        &self,
        number: i64,
        done: StepDone<'_>,
    ) -> Result<(Option<Wait>, Option<Made>), StoreError> {
        self.write(|transaction| {
            let child = done.child.map(|child| {
                let parent = Some(number);
                let (kind, inputs) = (child.kind.clone(), child.inputs.clone());
                insert(transaction, &NewProcedure { kind, inputs, parent, ..NewProcedure::default() })
            });
            let child = child.transpose()?;
            let wait = child.map(Wait::Child).or(done.wait);
            let written = write_wait(wait.as_ref());
            let kept = (done.state, done.fingerprint, done.tag);
            checkpoints::put(transaction, number, done.step, kept, written.as_deref())?;
            let changed = transaction
                .prepare_cached(
                    "UPDATE procedures SET step = ?2, text = ?3, wait = ?4, changed_ms = ?5
                     WHERE number = ?1 AND lease = ?6",
                )?
                .execute(params![
                    number,
                    to_sql(done.step),
                    done.text,
                    written,
                    to_sql(now_ms()),
                    self.epoch
                ])?;
            self.one(number, changed)?;
            if wait.is_some() {
                self.change_within(transaction, number, Move::Wait, ("", ""))?;
            }
            Ok((wait, child.map(|number| Made { number, is_held: false })))
        })
    }

    /// What was waited for has come: the next step follows.
    pub(in crate::procedure) fn wake(&self, number: i64) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("UPDATE procedures SET wait = NULL WHERE number = ?1", [number])?;
            self.change_within(transaction, number, Move::Wake, ("", "")).map(drop)
        })
    }

    /// The last step is done.
    pub(in crate::procedure) fn finish(
        &self,
        number: i64,
        step: u64,
        output: &str,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let changed = transaction.execute(
                "UPDATE procedures SET step = ?2, output = ?3, text = '' WHERE number = ?1 AND lease = ?4",
                params![number, to_sql(step), output, self.epoch],
            )?;
            self.one(number, changed)?;
            self.change_within(transaction, number, Move::Finish, ("", "")).map(drop)
        })
    }

    /// The procedure is killed by ending the process that runs it.
    pub(in crate::procedure) fn kill_by_force(
        &self,
        number: i64,
        by: (&str, &str),
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("UPDATE procedures SET is_forced = 1 WHERE number = ?1", [number])?;
            self.change_within(transaction, number, Move::Kill, by).map(drop)
        })
    }

    /// A held procedure may begin.
    pub(in crate::procedure) fn let_go(&self, number: i64) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("UPDATE procedures SET is_held = 0 WHERE number = ?1", [number])?;
            Ok(())
        })
    }

    /// Whatever is written of a procedure is written by the epoch that has its lease.
    fn one(&self, number: i64, changed: usize) -> Result<(), StoreError> {
        if changed == 1 { Ok(()) } else { Err(StoreError::LeaseLost { number }) }
    }
}
