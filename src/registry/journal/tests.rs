//! Journals of deeds: what they know, wherever a crash or a full disk cuts them, and what they forget.

use super::*;

fn deed(mark: u64, step: u64) -> Deed {
    let key = IdempotencyKey { procedure: "night scan-1".to_owned(), mark, step, index: 0 };
    Deed { key, command: CommandId(7) }
}

fn check(journal: &mut Journal, step: u64, expected: Seen) {
    assert_eq!(journal.begin(&deed(1, step)).expect("it can be written"), expected, "step {step}");
}

fn opened(path: &Path) -> Journal {
    Journal::open(path).expect("it opens")
}

#[test]
fn a_deed_is_new_once_and_then_begun_until_it_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deeds/motor.journal");
    let mut journal = opened(&path);
    check(&mut journal, 1, Seen::New);
    check(&mut journal, 1, Seen::Started);
    journal.finish(&deed(1, 1)).expect("written");
    check(&mut journal, 2, Seen::New);
    let mut journal = opened(&path);
    check(&mut journal, 1, Seen::Done);
    check(&mut journal, 2, Seen::Started);
}

#[test]
fn a_key_is_known_with_its_command_and_the_mark_of_its_procedure() {
    let mut journal = Journal::unkept();
    check(&mut journal, 1, Seen::New);
    let others = [Deed { command: CommandId(8), ..deed(1, 1) }, deed(2, 1), deed(1, 2)];
    for other in others {
        assert_eq!(journal.begin(&other), Ok(Seen::New), "{other:?}");
    }
    check(&mut journal, 1, Seen::Started);
}

#[test]
fn what_belongs_to_a_procedure_that_has_ended_is_forgotten_and_the_file_shrinks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("motor.journal");
    let mut journal = opened(&path);
    for mark in [1, 2, 3] {
        (0..9).for_each(|step| drop(journal.begin(&deed(mark, step))));
        journal.finish(&deed(mark, 0)).expect("written");
    }
    let lines = || fs::read_to_string(&path).expect("there").lines().count();
    assert_eq!(lines(), 30);
    journal.forget(&[1, 3, 9]).expect("rewritten");
    assert_eq!(lines(), 9, "one for each deed of the other one");
    assert_eq!(journal.marks(), BTreeSet::from([2]));
    journal.finish(&deed(1, 1)).expect("nothing is to be done");
    check(&mut journal, 0, Seen::New);
    let journal = opened(&path);
    assert_eq!(journal.marks(), BTreeSet::from([1, 2]));
    assert_eq!(journal.known[&deed(2, 0)], Seen::Done);
    assert_eq!(journal.known[&deed(2, 1)], Seen::Started);
}

#[test]
fn wherever_a_crash_cuts_it_what_was_acknowledged_before_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("motor.journal");
    let mut journal = opened(&path);
    check(&mut journal, 1, Seen::New);
    journal.finish(&deed(1, 1)).expect("written");
    let acknowledged = fs::read(&path).expect("there").len();
    check(&mut journal, 2, Seen::New);
    let whole = fs::read(&path).expect("there");
    for cut in acknowledged..whole.len() {
        fs::write(&path, &whole[..cut]).expect("written");
        let mut journal = opened(&path);
        check(&mut journal, 1, Seen::Done);
        check(&mut journal, 2, Seen::New);
        check(&mut opened(&path), 2, Seen::Started);
    }
    fs::write(&path, [&b"x"[..], &whole].concat()).expect("written");
    assert!(matches!(Journal::open(&path), Err(DeedError::Damaged { line: 1, .. })));
}

#[test]
fn what_could_not_be_written_whole_is_cut_off_before_anything_else_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("motor.journal");
    let mut journal = opened(&path);
    check(&mut journal, 1, Seen::New);
    // As a disk leaves it that fills up in the middle of a line.
    journal.is_torn = true;
    OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(b"0123 beg"))
        .expect("torn");
    check(&mut journal, 2, Seen::New);
    let mut journal = opened(&path);
    check(&mut journal, 1, Seen::Started);
    check(&mut journal, 2, Seen::Started);
}

#[test]
fn a_journal_that_takes_nothing_says_which_file_and_why_and_knows_no_more_than_before() {
    let mut journal =
        Journal { file: File::options().write(true).open("/dev/full").ok(), ..Journal::unkept() };
    journal.path = PathBuf::from("/dev/full");
    let error = journal.begin(&deed(1, 1)).expect_err("the disk is full");
    let text = error.to_string();
    assert!(text.contains("`/dev/full`") && text.contains("No space left"), "{text}");
    assert_eq!(journal.marks(), BTreeSet::new());
}
