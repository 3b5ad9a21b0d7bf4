//! The search for a match within a budget. It is done by a lazy DFA, byte by byte: each byte costs at most one step of
//! determinisation, so the search can end between any two of them. The library's own search has no such places.

use std::sync::{Arc, OnceLock};

use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use crate::config::budget::{Budget, Exhausted};

/// The states of the DFA that are kept, in bytes. When there is no room they are computed anew, which takes time, not memory.
const CACHE_BYTES: usize = 2 << 20;
/// After how many bytes the budget is asked. A step of determinisation takes up to 0.5 ms (an expression of 8 MB).
const BYTES_A_STEP: usize = 16;

/// The DFA of an expression, made when it is needed first. Clones share it.
#[derive(Clone, Default)]
pub struct Search(Arc<OnceLock<Option<DFA>>>);

impl Search {
    /// Whether the expression matches somewhere in `bytes`. `translated` is its text, which compiles within `size_limit`.
    pub fn finds(
        &self,
        translated: &str,
        size_limit: usize,
        bytes: &[u8],
        budget: &Budget,
    ) -> Result<bool, Exhausted> {
        budget.step()?;
        let dfa = self.0.get_or_init(|| make(translated, size_limit));
        // What the library compiles for bytes it compiles here as well; if it does not, there is no cheap way to know.
        let dfa = dfa.as_ref().ok_or(Exhausted)?;
        let mut cache = dfa.create_cache();
        let start = dfa.start_state_forward(&mut cache, &Input::new(bytes));
        let mut state = start.map_err(|_| Exhausted)?;
        for part in bytes.chunks(BYTES_A_STEP) {
            budget.step()?;
            for byte in part {
                state = dfa.next_state(&mut cache, state, *byte).map_err(|_| Exhausted)?;
                if state.is_tagged() {
                    match () {
                        () if state.is_match() => return Ok(true),
                        () if state.is_dead() => return Ok(false),
                        () if state.is_quit() => return Err(Exhausted),
                        () => {}
                    }
                }
            }
        }
        let end = dfa.next_eoi_state(&mut cache, state).map_err(|_| Exhausted)?;
        Ok(end.is_match())
    }
}

fn make(translated: &str, size_limit: usize) -> Option<DFA> {
    let nfa = thompson::Compiler::new()
        .syntax(syntax::Config::new().utf8(false))
        .configure(
            thompson::Config::new()
                .utf8(false)
                // The library counts what else it makes of the expression; the automaton alone fits.
                .nfa_size_limit(Some(size_limit))
                .which_captures(thompson::WhichCaptures::None),
        )
        .build(translated)
        .ok()?;
    DFA::builder()
        .configure(
            DFA::config()
                .match_kind(MatchKind::LeftmostFirst)
                .cache_capacity(CACHE_BYTES)
                .skip_cache_capacity_check(true),
        )
        .build_from_nfa(nfa)
        .ok()
}
