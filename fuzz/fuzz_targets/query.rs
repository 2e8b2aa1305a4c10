//! The parser of questions. Checked: what a parsed question prints parses again, and to what prints the same.
#![no_main]

use backtrail::query::parse::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: backtrail_fuzz::strict(), |text: &str| {
    if let Ok(query) = parse(text) {
        let printed = query.to_string();
        match parse(&printed) {
            Ok(again) => assert_eq!(again.to_string(), printed, "{text:?}"),
            Err(e) => panic!("{text:?} prints {printed:?}, which is refused: {e:?}"),
        }
    }
});
