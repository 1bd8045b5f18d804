//! The names of containers in the middle of a rollback. What was begun is
//! recognised from them alone, so that a step that was killed at any point can
//! be run again.

use rollbackd_core::words::IncidentId;

/// Between a container's own name and the rollback that made or moved it.
const MARK: &str = ".rollbackd-";

/// What part a container plays in a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Made to replace another; not yet under its own name.
    New,
    /// What ran before, kept aside.
    Old,
}

/// A name that a rollback gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marked<'a> {
    /// The container's own name.
    pub(super) base: &'a str,
    /// The rollback.
    pub(super) incident: IncidentId,
    /// Its part in it.
    pub(super) part: Part,
}

/// The name of the replacement for `base` while it is being prepared.
pub(super) fn new(base: &str, incident: IncidentId) -> String {
    format!("{base}{MARK}{incident}.new")
}

/// The name of `base` when it is kept aside.
pub(super) fn old(base: &str, incident: IncidentId) -> String {
    format!("{base}{MARK}{incident}.old")
}

/// What a name tells; `None` for a container's own name.
pub(super) fn parse(name: &str) -> Option<Marked<'_>> {
    let (base, rest) = name.rsplit_once(MARK)?;
    let (number, part) = rest.split_once('.')?;
    let part = match part {
        "new" => Part::New,
        "old" => Part::Old,
        _ => return None,
    };
    Some(Marked { base, incident: IncidentId(number.parse().ok()?), part })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_that_was_given_is_recognised(base in "[a-z0-9][a-z0-9_.-]{0,40}", number: u64) {
            let incident = IncidentId(number);
            let (fresh, aside) = (new(&base, incident), old(&base, incident));
            prop_assert_eq!(parse(&fresh), Some(Marked { base: &base, incident, part: Part::New }));
            prop_assert_eq!(parse(&aside), Some(Marked { base: &base, incident, part: Part::Old }));
        }
    }

    #[test]
    fn a_containers_own_name_is_nobodys_making() {
        for name in
            ["shop-web-1", "1a2b_shop-web-1", "shop.rollbackd-7.neu", "shop.rollbackd-x.new"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
