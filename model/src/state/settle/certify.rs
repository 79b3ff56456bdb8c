//! Which names listeners show certificates for.

use super::Work;
use crate::object::ObjectKey;
use crate::state::State;
use crate::state::host::HostKey;
use crate::state::index::Certified;
use crate::status::certificates::names;
use crate::status::owner::Owner;

impl State {
    /// Finds it out again for the Gateways and ListenerSets in `work`, and notes whose listeners show the same names.
    pub(super) fn certify(&mut self, work: &mut Work) {
        for key in std::mem::take(&mut work.recertify) {
            let certified = self.certified(&key);
            work.restate.extend(self.index.set_certified(&key, certified));
        }
    }

    fn certified(&self, key: &ObjectKey) -> Certified {
        let mut certified = Certified::new();
        let Some(owner) = Owner::of(self, key) else {
            return certified;
        };
        let claims = self.index.claims_of(key);
        for listener in owner.placed(self) {
            let own = claims.iter().filter(|(_, claim)| claim.listener == listener.name);
            let mut own = own.peekable();
            if own.peek().is_none() {
                continue;
            }
            let names: Vec<HostKey> = names(self, &owner, listener);
            for (socket, claim) in own {
                let named = names.iter().map(|name| (*socket, name.clone()));
                certified.entry(claim.clone()).or_default().extend(named);
            }
        }
        certified.retain(|_, names| !names.is_empty());
        certified
    }
}
