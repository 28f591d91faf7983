import htmx from "htmx.org";

Object.assign(htmx.config, {
  allowEval: false, // the content security policy forbids it anyway
  allowScriptTags: false, // what a page needs is loaded by the first page; fragments bring none
  includeIndicatorStyles: false, // they are in admin.css
  selfRequestsOnly: true,
  // Pages with personnel data do not belong in the browser's storage: back asks the server.
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  // 422 is a form with its errors, which is to be seen; other errors become a toast.
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    { code: "422", swap: true },
    { code: "[45]..", swap: false, error: true },
  ],
});

export default htmx;
