//! A search that ends when its budget is exhausted. It runs a lazy DFA byte by byte: each byte costs at most one step of
//! determinisation, and the search can end between any two bytes. The library's own search can't be ended.

use std::sync::{Arc, OnceLock};

use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use crate::config::budget::{Budget, Exhausted};

/// The cache of DFA states, in bytes. States beyond it are computed again, which takes time but no memory.
const CACHE_BYTES: usize = 2 << 20;
/// The bytes between two checks of the budget. A step of determinisation takes up to 0.5 ms (for an expression of 8 MB).
const BYTES_PER_STEP: usize = 16;

/// The DFA of an expression, built on first use. Clones share it.
#[derive(Clone, Default)]
pub struct Search(Arc<OnceLock<Option<DFA>>>);

impl Search {
    /// Whether the expression matches anywhere in `bytes`. `translated` is its source, which compiles within `size_limit`.
    pub fn finds(
        &self,
        translated: &str,
        size_limit: usize,
        bytes: &[u8],
        budget: &Budget,
    ) -> Result<bool, Exhausted> {
        budget.step()?;
        let dfa = self.0.get_or_init(|| build(translated, size_limit));
        // The library compiled this expression before, so this succeeds. If it does not, no search within a budget is possible.
        let dfa = dfa.as_ref().ok_or(Exhausted)?;
        let mut cache = dfa.create_cache();
        let start = dfa.start_state_forward(&mut cache, &Input::new(bytes));
        let mut state = start.map_err(|_| Exhausted)?;
        for part in bytes.chunks(BYTES_PER_STEP) {
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

fn build(translated: &str, size_limit: usize) -> Option<DFA> {
    let nfa = thompson::Compiler::new()
        .syntax(syntax::Config::new().utf8(false))
        .configure(
            thompson::Config::new()
                .utf8(false)
                // The limit of the library counts more than the automaton, so the automaton alone fits.
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
