//! What `#[manager(shares(…))]` writes: descriptions for kinds, writers for managers.

use labrig::prelude::*;
use labrig::registry::Handles as _;
use labrig::wire::{SharedKind, TypeSchema};

#[derive(Signals, Schema, Debug, Clone, Copy, PartialEq)]
struct Track {
    /// From the left.
    #[schema(unit = "um")]
    x_um: f64,
    frame: u64,
}

/// How many rows there are to be: any expression does.
const LATEST: u64 = 32;

struct Tracker {
    tracks: RowRing<Track>,
    places: VersionedTable<u32, Track>,
}

impl Manager for Tracker {
    type Config = ();

    fn setup((): (), context: &mut Context) -> Result<Self, SetupError> {
        Ok(Self { tracks: context.share("tracks")?, places: context.share("places")? })
    }
}

#[manager(
    kind = "sharing-tracker",
    shares(
        tracks = RowRing::<Track>::declare(2 * LATEST),
        places = VersionedTable::<u32, Track>::declare(LATEST),
    )
)]
impl Tracker {
    #[every(seconds = 1)]
    fn look(&mut self) -> Result<(), TableFull> {
        let track = Track { x_um: 1.5, frame: self.tracks.appended() };
        self.tracks.append(&track);
        self.places.put(7, &track).map(drop)
    }
}

#[test]
fn a_kind_says_what_it_shares_and_where_that_is_declared() {
    let [tracks, places] = &Tracker::shares()[..] else { panic!("two objects") };
    assert_eq!(
        (tracks.spec.name.as_str(), tracks.spec.kind, tracks.spec.capacity),
        ("tracks", SharedKind::Rows, 64)
    );
    assert_eq!(tracks.spec.item, TypeSchema::of::<Track>());
    let column = &tracks.spec.columns()[0];
    let about = (column.name.as_str(), column.unit.as_deref(), column.doc.as_str());
    assert_eq!(about, ("x_um", Some("um"), "From the left."));
    assert_eq!((places.spec.kind, places.spec.key.is_some()), (SharedKind::Table, true));
    assert!(
        places.site.file.ends_with("shared.rs") && places.site.line > tracks.site.line,
        "{:?}",
        places.site
    );
}

#[test]
fn outside_any_rig_a_manager_shares_with_nobody() {
    let mut tracker = Tracker::setup((), &mut crate::context()).expect("it is set up");
    (0..3).for_each(|_| tracker.look().expect("there is room"));
    assert_eq!((tracker.tracks.appended(), tracker.places.occupancy().rows), (3, 1));
    let error = crate::context().scope().rows("tracker.tracks").err().expect("there is no rig");
    assert_eq!(error, SharedError::NotAsked(SignalError::Closed));
}
