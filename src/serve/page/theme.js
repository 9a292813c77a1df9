// Before the first paint, so that a chosen theme does not flash: light, dark, or what the system says.
(function () {
    let theme = "system";
    try {
        theme = JSON.parse(localStorage.getItem("tenon.settings")).theme;
    } catch {
        // nothing is stored, or storage is forbidden
    }
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
