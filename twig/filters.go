package twig

// filters are the filters of Twig's core, of its string extra and simple forms of its intl extra, and
// increment and decrement. Those that make text or arrays account for it before.
var filters = map[string]callable{
	// texts
	"capitalize":       {params: []string{"string"}, required: 1, call: filterCapitalize},
	"convert_encoding": {params: []string{"string", "to", "from"}, required: 3, call: filterConvertEncoding},
	"e":                {params: []string{"string", "strategy", "charset", "autoescape"}, required: 1, safe: "all", call: filterEscape},
	"escape":           {params: []string{"string", "strategy", "charset", "autoescape"}, required: 1, safe: "all", call: filterEscape},
	"format":           {params: []string{"format"}, required: 1, variadic: true, call: filterFormat},
	"lower":            {params: []string{"string"}, required: 1, call: filterLower},
	"nl2br":            {params: []string{"string"}, required: 1, safe: "html", call: filterNL2BR},
	"plural":           {params: []string{"text", "locale", "all"}, required: 1, call: filterPlural},
	"raw":              {params: []string{"string"}, required: 1, safe: "all", call: filterRaw},
	"replace":          {params: []string{"str", "from"}, required: 2, call: filterReplace},
	"singular":         {params: []string{"text", "locale", "all"}, required: 1, call: filterSingular},
	"slug":             {params: []string{"string", "separator", "locale"}, required: 1, call: filterSlug},
	"spaceless":        {params: []string{"content"}, required: 1, safe: "html", call: filterSpaceless},
	"split":            {params: []string{"value", "delimiter", "limit"}, required: 2, call: filterSplit},
	"striptags":        {params: []string{"string", "allowable_tags"}, required: 1, call: filterStriptags},
	"title":            {params: []string{"string"}, required: 1, call: filterTitle},
	"trim":             {params: []string{"string", "character_mask", "side"}, required: 1, call: filterTrim},
	"upper":            {params: []string{"string"}, required: 1, call: filterUpper},
	"url_encode":       {params: []string{"url"}, required: 1, call: filterURLEncode},

	// arrays
	"batch":  {params: []string{"items", "size", "fill", "preserve_keys"}, required: 2, call: filterBatch},
	"column": {params: []string{"array", "name", "index"}, required: 2, call: filterColumn},
	"filter": {params: []string{"array", "arrow"}, required: 2, call: filterFilter},
	"find":   {params: []string{"array", "arrow"}, required: 2, call: filterFind},
	"join":   {params: []string{"value", "glue", "and"}, required: 1, call: filterJoin},
	"keys":   {params: []string{"array"}, required: 1, call: filterKeys},
	"map":    {params: []string{"array", "arrow"}, required: 2, call: filterMap},
	"merge":  {params: []string{"array"}, required: 1, variadic: true, call: filterMerge},
	"reduce": {params: []string{"array", "arrow", "initial"}, required: 2, call: filterReduce},
	"sort":   {params: []string{"array", "arrow"}, required: 1, call: filterSort},

	// both
	"default":     {params: []string{"value", "default"}, required: 1, call: filterDefault},
	"first":       {params: []string{"item"}, required: 1, call: filterFirst},
	"json_encode": {params: []string{"value", "flags", "depth"}, required: 1, call: filterJSONEncode},
	"last":        {params: []string{"item"}, required: 1, call: filterLast},
	"length":      {params: []string{"thing"}, required: 1, call: filterLength},
	"reverse":     {params: []string{"item", "preserve_keys"}, required: 1, call: filterReverse},
	"shuffle":     {params: []string{"item"}, required: 1, call: filterShuffle},
	"slice":       {params: []string{"item", "start", "length", "preserve_keys"}, required: 2, call: filterSlice},

	// numbers
	"abs":             {params: []string{"num"}, required: 1, call: filterAbs},
	"decrement":       {params: []string{"value", "amount"}, required: 1, call: filterDecrement},
	"format_currency": {params: []string{"amount", "currency", "attrs", "locale"}, required: 2, call: filterFormatCurrency},
	"format_number":   {params: []string{"number", "attrs", "style", "type", "locale"}, required: 1, call: filterFormatNumber},
	"increment":       {params: []string{"value", "amount"}, required: 1, call: filterIncrement},
	"number_format":   {params: []string{"number", "decimal", "decimal_point", "thousand_sep"}, required: 1, call: filterNumberFormat},
	"round":           {params: []string{"value", "precision", "method"}, required: 1, call: filterRound},

	// dates
	"date":            {params: []string{"date", "format", "timezone"}, required: 1, call: filterDate},
	"date_modify":     {params: []string{"date", "modifier"}, required: 2, call: filterDateModify},
	"format_date":     {params: []string{"date", "date_format", "pattern", "timezone", "calendar", "locale"}, required: 1, call: filterFormatDate},
	"format_datetime": {params: []string{"date", "date_format", "time_format", "pattern", "timezone", "calendar", "locale"}, required: 1, call: filterFormatDatetime},
	"format_time":     {params: []string{"date", "time_format", "pattern", "timezone", "calendar", "locale"}, required: 1, call: filterFormatTime},
}
