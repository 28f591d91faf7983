package twig

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/buglehq/bugle/value"
)

var leadingNumber = regexp.MustCompile(`^[ \t\n\r\v\f]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?`)

// cast is the number that PHP's (int) and (float) start from: a text that begins with a number is that
// number, and others are 0.
func (c *call) cast(v any) (any, error) {
	v = plain(v)
	if err := c.read(v); err != nil {
		return nil, err
	}
	if n, ok := value.Number(v); ok {
		return n, nil
	}
	if s, ok := v.(string); ok {
		n, ok := value.Numeric(leadingNumber.FindString(s))
		if !ok {
			return int64(0), nil
		}
		return n, nil
	}
	return nil, fmt.Errorf("%s is no number", value.Describe(v))
}

func asFloat(n any) float64 {
	if i, ok := n.(int64); ok {
		return float64(i)
	}
	f, _ := n.(float64)
	return f
}

func filterAbs(c *call) (any, error) {
	n, err := c.number(0, nil)
	if err != nil {
		return nil, err
	}
	if f, isFloat := n.(float64); isFloat {
		return math.Abs(f), nil
	}
	if i := value.ToInt(n); i < 0 {
		return value.Subtract(int64(0), i), nil
	}
	return n, nil
}

func filterIncrement(c *call) (any, error) { return change(c, value.Add) }

func filterDecrement(c *call) (any, error) { return change(c, value.Subtract) }

// change adds the amount to a number, or to 0 if the value is none, as null is none.
func change(c *call, by func(a, b any) any) (any, error) {
	for _, v := range c.args {
		if err := c.read(v); err != nil {
			return nil, err
		}
	}
	amount, ok := numeric(c.arg(1, int64(1)))
	if !ok {
		return nil, fmt.Errorf("%s is no number to change by", value.Describe(plain(c.args[1])))
	}
	n, ok := numeric(c.args[0])
	if !ok {
		n = int64(0)
	}
	return by(n, amount), nil
}

// numeric is PHP's is_numeric: it holds for numbers and numeric texts only.
func numeric(v any) (any, bool) {
	switch v := plain(v).(type) {
	case int64, float64:
		return v, true
	case string:
		return value.Numeric(v)
	}
	return nil, false
}

func filterRound(c *call) (any, error) {
	n, err := c.cast(c.args[0])
	if err != nil {
		return nil, err
	}
	precision, err := c.integer(1, 0)
	if err != nil {
		return nil, err
	}
	method, err := c.text(2, "common")
	if err != nil {
		return nil, err
	}
	f := asFloat(n)
	power := math.Pow(10, float64(precision))
	switch method {
	case "common":
		return roundHalfUp(f, precision), nil
	case "ceil":
		return math.Ceil(f*power)/power + 0, nil
	case "floor":
		return math.Floor(f*power)/power + 0, nil
	}
	return nil, fmt.Errorf("numbers can be rounded by common, ceil and floor, not by %q", method)
}

// roundHalfUp is PHP's round: halves go away from zero. It looks at the 15 digits that a float is sure
// of, so that 1.005 becomes 1.01 although the float is a little less.
func roundHalfUp(f float64, precision int64) float64 {
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	text := strconv.FormatFloat(math.Abs(f), 'e', 14, 64)
	mantissa, power, _ := strings.Cut(text, "e")
	exponent, _ := strconv.ParseInt(power, 10, 64)
	digits := strings.Replace(mantissa, ".", "", 1)
	precision = max(min(precision, 400), -400)
	kept := exponent + 1 + precision // how many digits stay
	if kept >= int64(len(digits)) {
		return f
	}
	if kept < 0 {
		return math.Copysign(0, f)
	}
	up := digits[kept] >= '5'
	n, _ := strconv.ParseInt("0"+digits[:kept], 10, 64)
	if up {
		n++
	}
	rounded, _ := strconv.ParseFloat(fmt.Sprintf("%de%d", n, -precision), 64)
	return math.Copysign(rounded, f)
}

func filterNumberFormat(c *call) (any, error) {
	n, err := c.cast(c.args[0])
	if err != nil {
		return nil, err
	}
	var decimals int64
	if c.arg(1, nil) != nil {
		if decimals, err = c.integer(1, 0); err != nil {
			return nil, err
		}
	}
	point, separator := ".", ","
	for i, to := range []*string{&point, &separator} {
		if c.arg(i+2, nil) == nil {
			continue
		}
		if *to, err = c.text(i+2, ""); err != nil {
			return nil, err
		}
	}
	return c.formatNumber(asFloat(n), max(decimals, 0), point, separator)
}

// exactDecimals is how many decimal places PHP calculates; the rest is zeros.
const exactDecimals = 500

// formatNumber is PHP's number_format.
func (c *call) formatNumber(f float64, decimals int64, point, separator string) (string, error) {
	const digits = 310 // that a float can have before its point
	if decimals > math.MaxInt32 {
		decimals = math.MaxInt32
	}
	if err := c.Make(int(decimals) + digits*(1+len(separator)) + len(point)); err != nil {
		return "", err
	}
	f = roundHalfUp(f, decimals)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+")), nil
	}
	text := strconv.FormatFloat(math.Abs(f), 'f', int(min(decimals, exactDecimals)), 64)
	whole, fraction, _ := strings.Cut(text, ".")
	var b strings.Builder
	if f < 0 && strings.Trim(text, "0.") != "" {
		b.WriteByte('-')
	}
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(separator)
		}
		b.WriteByte(whole[i])
	}
	if decimals > 0 {
		b.WriteString(point)
		b.WriteString(fraction)
		b.WriteString(strings.Repeat("0", int(decimals)-len(fraction)))
	}
	return b.String(), nil
}

// option returns an item of an argument that is an object.
func (c *call) option(i int, name string) any {
	if a, ok := c.arg(i, nil).(*value.Array); ok {
		v, _ := a.Get(name)
		return plain(v)
	}
	return nil
}

// fractionDigits are the least and the most decimal places of the options fraction_digit,
// min_fraction_digit and max_fraction_digit.
func (c *call) fractionDigits(i int, least, most int64) (int64, int64) {
	const limit = 100
	bound := func(v any) int64 { n, _ := value.Number(v); return max(min(value.ToInt(n), limit), 0) }
	if v := c.option(i, "min_fraction_digit"); v != nil {
		least = bound(v)
		most = max(most, least)
	}
	if v := c.option(i, "max_fraction_digit"); v != nil {
		most = bound(v)
		least = min(least, most)
	}
	if v := c.option(i, "fraction_digit"); v != nil {
		least, most = bound(v), bound(v)
	}
	return least, most
}

// roundTo rounds by the mode of the option rounding_mode; without one halves go to the even digit, as
// in ICU.
func (c *call) roundTo(i int, f float64, places int64) (float64, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return f, nil
	}
	text := strconv.FormatFloat(f, 'f', -1, 64) // the decimal that the float stands for
	_, fraction, _ := strings.Cut(text, ".")
	if int64(len(fraction)) <= places {
		return f, nil
	}
	mode, err := toText(c.option(i, "rounding_mode"))
	if err != nil {
		return 0, err
	}
	cut, _ := strconv.ParseFloat(text[:len(text)-len(fraction)+int(places)], 64)
	away := cut + math.Copysign(math.Pow(10, -float64(places)), f)
	rest := fraction[places:]
	half := strings.Compare(strings.TrimRight(rest, "0"), "5")
	last := byte('0')
	if kept := strings.TrimSuffix(text[:len(text)-len(rest)], "."); kept != "" {
		last = kept[len(kept)-1]
	}
	up := false
	switch mode {
	case "", "halfeven":
		up = half > 0 || half == 0 && (last-'0')%2 == 1
	case "halfup":
		up = half >= 0
	case "halfdown":
		up = half > 0
	case "floor":
		up = f < 0
	case "ceiling":
		up = f > 0
	case "up":
		up = true
	case "down":
	default:
		return 0, fmt.Errorf("there is no rounding mode %q", mode)
	}
	if up && strings.Trim(rest, "0") != "" {
		return away, nil
	}
	return cut, nil
}

// decimal writes a number as English does: with commas, and decimal places from least to most.
func (c *call) decimal(options int, f float64, least, most int64) (string, error) {
	least, most = c.fractionDigits(options, least, most)
	f, err := c.roundTo(options, f, most)
	if err != nil {
		return "", err
	}
	text, err := c.formatNumber(f, most, ".", ",")
	if err != nil {
		return "", err
	}
	for range most - least {
		trimmed, ok := strings.CutSuffix(text, "0")
		if !ok {
			break
		}
		text = trimmed
	}
	return strings.TrimSuffix(text, "."), nil
}

// english refuses locales other than English, which is the only one there is.
func (c *call) english(i int) error {
	locale, err := c.text(i, "en")
	if err == nil && locale != "" && locale != "en" && !strings.HasPrefix(locale, "en_") && !strings.HasPrefix(locale, "en-") {
		err = fmt.Errorf("there is no locale %q, only English", locale)
	}
	return err
}

// filterFormatNumber writes a number in English: 1234.5678 is 1,234.568. Of the styles there are decimal
// and percent, of the attributes those of fractions and rounding.
func filterFormatNumber(c *call) (any, error) {
	n, err := c.cast(c.args[0])
	if err != nil {
		return nil, err
	}
	if err := c.english(4); err != nil {
		return nil, err
	}
	style, err := c.text(2, "decimal")
	if err != nil {
		return nil, err
	}
	switch style {
	case "decimal":
		return c.decimal(1, asFloat(n), 0, 3)
	case "percent":
		hundredths, _ := strconv.ParseFloat(strconv.FormatFloat(asFloat(n)*100, 'g', 15, 64), 64)
		text, err := c.decimal(1, hundredths, 0, 0)
		return text + "%", err
	}
	return nil, fmt.Errorf("numbers can be formatted by decimal and percent, not by %q", style)
}

var currencySigns = map[string]string{
	"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "INR": "₹", "CNY": "CN¥", "KRW": "₩",
	"ILS": "₪", "MXN": "MX$", "BRL": "R$", "VND": "₫", "TWD": "NT$", "HKD": "HK$", "PHP": "₱",
}

// filterFormatCurrency writes an amount in English: 1000000 of EUR is €1,000,000.00.
func filterFormatCurrency(c *call) (any, error) {
	n, err := c.cast(c.args[0])
	if err != nil {
		return nil, err
	}
	if err := c.english(3); err != nil {
		return nil, err
	}
	currency, err := c.text(1, "")
	if err != nil {
		return nil, err
	}
	currency = strings.ToUpper(currency)
	places := int64(2)
	switch currency {
	case "JPY", "KRW", "VND":
		places = 0
	}
	text, err := c.decimal(2, asFloat(n), places, places)
	if err != nil {
		return nil, err
	}
	sign, ok := currencySigns[currency]
	if !ok {
		if len(currency) != 3 {
			return nil, fmt.Errorf("%q is no currency; one is such as EUR", currency)
		}
		sign = currency + "\u00a0"
	}
	if amount, negative := strings.CutPrefix(text, "-"); negative {
		return "-" + sign + amount, nil
	}
	return sign + text, nil
}
