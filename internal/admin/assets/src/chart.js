import "./added.js";
