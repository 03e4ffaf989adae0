//! Keys and buttons held on several devices at once.

use std::collections::BTreeMap;

/// How many devices hold each key. The user has one seat: a key is down while
/// any of them holds it.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<u16, u32>);

impl Held {
    /// A device's key went down or up. True if the seat's did.
    pub(super) fn change(&mut self, code: u16, pressed: bool) -> bool {
        if pressed {
            let holders = self.0.entry(code).or_default();
            *holders += 1;
            return *holders == 1;
        }
        let Some(holders) = self.0.get_mut(&code) else {
            return false;
        };
        *holders -= 1;
        if *holders == 0 {
            self.0.remove(&code);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_down_from_the_first_press_to_the_last_release() {
        let mut held = Held::default();
        let changes = [true, true, false, false, false].map(|pressed| held.change(42, pressed));
        assert_eq!(changes, [true, false, false, true, false]);
        assert!(held.change(30, true), "keys are counted one by one");
    }
}
