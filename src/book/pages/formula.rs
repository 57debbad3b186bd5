//! Formulas: their TeX if the page still has it, else their text.

use scraper::ElementRef;

/// `$TeX$`, or `$$TeX$$` for one on a line of its own; and whether it is one.
pub(super) fn text(element: ElementRef) -> Option<(String, bool)> {
    let script = element.value().name() == "script";
    let math = std::iter::once(element)
        .chain(element.descendent_elements())
        .find(|inner| inner.value().name() == "math");
    let display = match (script, math) {
        (true, _) => element
            .attr("type")
            .is_some_and(|kind| kind.contains("mode=display")),
        (false, Some(math)) => math.attr("display") == Some("block"),
        (false, None) => false,
    } || element.attr("display") == Some("true");
    let tex = element
        .descendent_elements()
        .find(|inner| inner.attr("encoding") == Some("application/x-tex"));
    let tex = tex
        .or(script.then_some(element))
        .or(math)
        .unwrap_or(element);
    // MathML has an element for each symbol: spaces keep them apart.
    let separator = if Some(tex) == math { " " } else { "" };
    let tex = tex.text().collect::<Vec<_>>().join(separator);
    let tex = tex.split_whitespace().collect::<Vec<_>>().join(" ");
    let fence = if display { "$$" } else { "$" };
    (!tex.is_empty()).then(|| (format!("{fence}{tex}{fence}"), display))
}
