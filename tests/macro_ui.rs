//! What the compiler says to a user who makes a mistake; see `tests/ui/README.md`.

#[test]
fn every_mistake_has_one_error_that_points_at_it() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
