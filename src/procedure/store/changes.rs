//! Changes of state, each with its number.

use rusqlite::{Row, Transaction, params};

use super::{Store, StoreError, from_sql, now_ms, to_sql};
use crate::procedure::commands::{ProcedureId, StateChange};
use crate::procedure::state::ProcedureState;

/// How many changes are read at once.
const MOST: i64 = 256;

/// Notes a change.
pub(super) fn note(
    transaction: &Transaction<'_>,
    number: i64,
    (was, became): (Option<ProcedureState>, ProcedureState),
    (sender, text): (&str, &str),
) -> Result<(), StoreError> {
    transaction.prepare_cached(
        "INSERT INTO changes (procedure, was, became, sender, text, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        number,
        was.map(ProcedureState::name),
        became.name(),
        sender,
        text,
        to_sql(now_ms())
    ])?;
    Ok(())
}

impl Store {
    /// The number of the newest change; 0 when there is none.
    pub(in crate::procedure) fn newest_change(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let newest = "SELECT coalesce(max(sequence), 0) FROM changes";
            Ok(from_sql(connection.query_row(newest, [], |row| row.get(0))?))
        })
    }

    /// The oldest changes behind that one, of one procedure or of all.
    pub(in crate::procedure) fn changes_after(
        &self,
        after: u64,
        of: Option<i64>,
    ) -> Result<Vec<StateChange>, StoreError> {
        self.read(|connection| {
            let mut wanted = connection.prepare_cached(
                "SELECT c.sequence, p.kind, c.procedure, c.was, c.became, c.sender, c.text, c.at_ms
                 FROM changes c JOIN procedures p ON p.number = c.procedure
                 WHERE c.sequence > ?1 AND (?2 IS NULL OR c.procedure = ?2) ORDER BY c.sequence LIMIT ?3",
            )?;
            let rows = wanted.query_map(params![to_sql(after), of, MOST], change)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<StateChange> {
    let kind: String = row.get(1)?;
    let was: Option<String> = row.get(3)?;
    let became: String = row.get(4)?;
    Ok(StateChange {
        sequence: from_sql(row.get(0)?),
        id: ProcedureId::new(&kind, row.get(2)?),
        from: was.as_deref().and_then(ProcedureState::named),
        to: super::records::state_named(&became)?,
        sender: row.get(5)?,
        text: row.get(6)?,
        at_ms: from_sql(row.get(7)?),
    })
}
