//! The names that engines give to containers for which nobody chose one: an adjective and the name of a scientist.

/// The adjectives of Docker and podman (moby, pkg/namesgenerator). Sorted.
const ADJECTIVES: [&str; 108] = [
    "admiring",
    "adoring",
    "affectionate",
    "agitated",
    "amazing",
    "angry",
    "awesome",
    "beautiful",
    "blissful",
    "bold",
    "boring",
    "brave",
    "busy",
    "charming",
    "clever",
    "compassionate",
    "competent",
    "condescending",
    "confident",
    "cool",
    "cranky",
    "crazy",
    "dazzling",
    "determined",
    "distracted",
    "dreamy",
    "eager",
    "ecstatic",
    "elastic",
    "elated",
    "elegant",
    "eloquent",
    "epic",
    "exciting",
    "fervent",
    "festive",
    "flamboyant",
    "focused",
    "friendly",
    "frosty",
    "funny",
    "gallant",
    "gifted",
    "goofy",
    "gracious",
    "great",
    "happy",
    "hardcore",
    "heuristic",
    "hopeful",
    "hungry",
    "infallible",
    "inspiring",
    "intelligent",
    "interesting",
    "jolly",
    "jovial",
    "keen",
    "kind",
    "laughing",
    "loving",
    "lucid",
    "magical",
    "modest",
    "musing",
    "mystifying",
    "naughty",
    "nervous",
    "nice",
    "nifty",
    "nostalgic",
    "objective",
    "optimistic",
    "peaceful",
    "pedantic",
    "pensive",
    "practical",
    "priceless",
    "quirky",
    "quizzical",
    "recursing",
    "relaxed",
    "reverent",
    "romantic",
    "sad",
    "serene",
    "sharp",
    "silly",
    "sleepy",
    "stoic",
    "strange",
    "stupefied",
    "suspicious",
    "sweet",
    "tender",
    "thirsty",
    "trusting",
    "unruffled",
    "upbeat",
    "vibrant",
    "vigilant",
    "vigorous",
    "wizardly",
    "wonderful",
    "xenodochial",
    "youthful",
    "zealous",
    "zen",
];

/// Whether an engine chose the name: `admiring_turing`, or `admiring_turing7` if that was taken.
pub fn is_generated(name: &str) -> bool {
    let Some((adjective, scientist)) = name.split_once('_') else {
        return false;
    };
    let scientist = scientist.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_word = !scientist.is_empty() && scientist.chars().all(|c| c.is_ascii_lowercase());
    is_word && ADJECTIVES.binary_search(&adjective).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_engines_are_recognized() {
        assert!(ADJECTIVES.is_sorted());
        for (name, expected) in [
            ("admiring_turing", true),
            ("zen_curie3", true),
            ("shop_worker", false),
            ("happy", false),
            ("happy_", false),
            ("happy_shop_1", false),
            ("happy-turing", false),
        ] {
            assert_eq!(is_generated(name), expected, "{name}");
        }
    }
}
