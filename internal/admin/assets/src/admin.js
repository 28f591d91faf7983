import "./lazy.js"; // reads document.currentScript, which the first run alone has
import "./htmx.js";
import "htmx-ext-sse";
import "./theme.js";
import "./times.js";
import "./copy.js";
import "./secret.js";
import "./select-all.js";
import "./confirm.js";
import "./dirty.js";
import "./toast.js";
import "./connection.js";
import "./menus.js";
import "./sidebar.js";
import "./tabs.js";
import "./insert.js";
import "./json.js";
import "./live-list.js";
