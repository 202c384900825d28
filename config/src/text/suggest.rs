//! "Did you mean": the candidate nearest to a misspelt word. It knows no keyword itself.

/// The candidate nearest to `word`, if one is near enough to be meant.
///
/// Near is an edit distance (insertion, deletion, exchange, swap of neighbours) of at most a third
/// of the word's length; a difference in case counts nothing. Of equally near ones the first wins.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_WORD + 1).map(|c| c.to_ascii_lowercase()).collect();
    if word.is_empty() || word.len() > MAX_WORD {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = edit_distance(&word, candidate);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Longer words are no keyword; the bound keeps hostile input cheap.
const MAX_WORD: usize = 64;

/// The number of single edits between the two (optimal string alignment).
fn edit_distance(word: &[char], candidate: &str) -> usize {
    let other: Vec<char> = candidate.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before_last = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=word.len() {
        let mut row = vec![i; other.len() + 1];
        for j in 1..=other.len() {
            let exchange = last[j - 1] + usize::from(word[i - 1] != other[j - 1]);
            row[j] = exchange.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped =
                i > 1 && j > 1 && word[i - 1] == other[j - 2] && word[i - 2] == other[j - 1];
            if swapped {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_keyword_finds_the_one_that_is_meant() {
        let keywords = ["auth_type", "authentication", "auth_pass", "virtual_ipaddress"];
        assert_eq!(did_you_mean("authentification", keywords), Some("authentication"));
        assert_eq!(did_you_mean("virtual_ipadress", keywords), Some("virtual_ipaddress"));
        assert_eq!(did_you_mean("AUTH_TYPE", keywords), Some("auth_type"));
        assert_eq!(did_you_mean("auth_tpye", keywords), Some("auth_type"));
    }

    #[test]
    fn a_word_far_from_all_candidates_finds_none() {
        assert_eq!(did_you_mean("loadbalance", ["rr", "wlc", "priority"]), None);
        assert_eq!(did_you_mean("", ["rr"]), None);
        assert_eq!(did_you_mean(&"x".repeat(1000), ["xx"]), None);
    }

    #[test]
    fn the_first_of_equally_near_candidates_wins() {
        assert_eq!(did_you_mean("prioritx", ["prioritz", "priority"]), Some("prioritz"));
    }
}
