//! stub
use super::*;
/// s
pub struct Case;
impl Case {
    /// s
    pub fn new(_: &str) -> Case {
        Case
    }
}
impl Pane for Case {
    fn name(&self) -> &'static str {
        "case"
    }
    fn title(&self) -> String {
        "case".into()
    }
    fn run(&mut self, _: &str, _: &mut Cx) -> Result<Handled> {
        Ok(Handled::No)
    }
    fn draw(&mut self, _: &mut Frame, _: Rect, _: &View) {}
}
