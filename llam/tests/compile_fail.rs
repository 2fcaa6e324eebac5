//! What the macros refuse at compile time, and with which words. What the types refuse is in their
//! documentation, because those words are the compiler's and change with it.

#[test]
fn messages_point_at_the_token() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
