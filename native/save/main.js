require('../run.js')('main', 'save');
